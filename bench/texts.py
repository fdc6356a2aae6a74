"""Texts to measure with: made up, with pairs of known similarity, or real ones of any shape."""

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ingot.curation.shapes import find_pair
from ingot.io.formats import WHOLE, rows
from ingot.settings.data import Read

SIMILARITIES = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
WORDS = 230  # of a made-up text: 1.2 KB


def spoken() -> Iterable[tuple[str, ...]]:
    """Return words of one to three syllables, as they can be spoken: the shorter, the more frequent."""
    syllables = ["".join(pair) for pair in itertools.product("bdfghjklmnprstvz", "aeiou")]
    return itertools.chain.from_iterable(itertools.product(syllables, repeat=count) for count in (1, 2, 3))


def made_up(count: int, path: Path) -> dict[str, list[tuple[str, str]]]:
    """Write `count` texts, of which a tenth are copies with another end; return the pairs by exact similarity.

    Two texts of N triples of words of which the last k words differ have the Jaccard similarity (N - k) / (N + k).
    """
    random = np.random.default_rng(0)
    vocabulary = np.array(["".join(syllables) for syllables in itertools.islice(spoken(), 50_000)])
    weights = 1 / np.arange(10, 50_010)
    triples = WORDS - 2
    pairs: dict[str, list[tuple[str, str]]] = {str(one): [] for one in SIMILARITIES}
    number = itertools.count()
    with open(path, "w") as file:

        def write(words: Any) -> str:
            name = f"{next(number):016x}"
            half = len(words) // 2
            one = {"id": name, "instruction": " ".join(words[:half]), "response": " ".join(words[half:])}
            file.write(json.dumps(one) + "\n")
            return name

        for begin in range(0, count, 10_000):
            drawn = random.choice(50_000, (min(10_000, count - begin), WORDS), p=weights / weights.sum())
            for i, indices in enumerate(drawn):
                words = vocabulary[indices]
                if i % 10 != 1:
                    last, last_words = write(words), words
                    continue
                similarity = SIMILARITIES[i // 10 % len(SIMILARITIES)]
                differ = int(triples * (1 - similarity) / (1 + similarity))
                changed = np.concatenate([last_words[: WORDS - differ], words[:differ]])
                pairs[str(similarity)].append((last, write(changed)))
    return pairs


def real(paths: Iterable[Path], target: Path) -> int:
    """Write real texts of any shape under numbers as ids; return how many."""
    count = 0
    with open(target, "w") as file:
        for path in paths:
            for row in rows(path, None, Read(row_bytes=1 << 22, unpacking=100), WHOLE):
                pair = find_pair(row.value, None) if isinstance(row.value, dict) else None
                if pair and all(isinstance(text, str) and text.strip() for text in pair):
                    record = {"id": f"{count:016x}", "instruction": pair[0], "response": pair[1]}
                    file.write(json.dumps(record) + "\n")
                    count += 1
    return count
