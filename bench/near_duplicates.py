"""Near-duplicate removal by other tools, each from a file of texts to a file of those it keeps.

    python bench/near_duplicates.py TOOL IN.jsonl OUT.jsonl

IN has an object with `id` and `text` per line. All use the same words, 3 in a row, 128 permutations (126 where they
must be a multiple of the bands), and the same 21 bands of 6 rows, so that they could find the same pairs.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

BANDS, ROWS, THRESHOLD = 21, 6, 0.8
WORD = re.compile(r"\w+|[^\w\s]")
TOGETHER = 10_000


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the id and the text of each line."""
    with open(path) as file:
        for line in file:
            one = json.loads(line)
            yield one["id"], one["text"]


def shingles(text: str) -> list[str]:
    """Return the different triples of words of a text."""
    words = WORD.findall(text.lower())
    return list({" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))})


def datasketch(path: Path) -> Iterator[str]:
    """MinHash.bulk and MinHashLSH; a candidate counts as a duplicate if the estimated similarity says so."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=128, params=(BANDS, ROWS))
    signatures: dict[str, Any] = {}
    waiting = texts(path)
    while batch := list(islice(waiting, TOGETHER)):
        found = MinHash.bulk([[gram.encode() for gram in shingles(text)] for _, text in batch], num_perm=128)
        for (name, _), signature in zip(batch, found, strict=True):
            if not any(signature.jaccard(signatures[other]) >= THRESHOLD for other in index.query(signature)):
                index.insert(name, signature)
                signatures[name] = signature
                yield name


def rensa(path: Path) -> Iterator[str]:
    """RMinHash and its deduplicator on an LSH index, signatures a batch at a time by rensa's compiled code."""
    from rensa import RMinHash, RMinHashDeduplicator

    kept = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=BANDS * ROWS, use_lsh=True, num_bands=BANDS)
    waiting = texts(path)
    while batch := list(islice(waiting, TOGETHER)):
        signatures = RMinHash.from_token_sets([shingles(text) for _, text in batch], BANDS * ROWS, 42)
        yield from (name for (name, _), one in zip(batch, signatures, strict=True) if kept.add(name, one))


TOOLS: dict[str, Callable[[Path], Iterator[str]]] = {"datasketch": datasketch, "rensa": rensa}


def main() -> None:
    """Write the kept lines of a file."""
    tool, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    kept = set(TOOLS[tool](source))
    with open(source, "rb") as read, open(target, "wb") as write:
        write.writelines(line for line in read if json.loads(line)["id"] in kept)


if __name__ == "__main__":
    main()
