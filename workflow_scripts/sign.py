"""Sign a shard: what `deduplicate` needs to know of each record to find its duplicates in all shards."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from lib import minhash, signatures
from lib.accounting import MIXED_BY, parsed
from lib.progress import progress
from lib.records import Record
from lib.text import normalise

Label = tuple[str, ...]
TOGETHER = 2000  # records signed in one call
NUMBERS = np.dtype(
    list(
        {
            "id": np.uint64,
            "line": np.uint64,
            "exact_high": np.uint64,
            "exact_low": np.uint64,
            "quality": np.float64,
            "length": np.int64,
            "tokens": np.int64,
            "label": np.int32,
            "bytes": np.int64,
        }.items()
    )
)


def describe(line: bytes, record: Record, normal: tuple[str, str], labels: dict[Label, int]) -> tuple[int | float, ...]:
    """Return the NUMBERS of a record, given its line and the normal forms of question and answer."""
    metadata = record["metadata"]
    label = tuple(metadata[name] for name in MIXED_BY)
    both = xxhash.xxh3_128_intdigest("\x1f".join(normal).encode())
    return (
        int(record["id"], 16),
        xxhash.xxh3_64_intdigest(line),
        both >> 64,
        both & 0xFFFFFFFFFFFFFFFF,
        metadata["quality_score"] if metadata["quality_score"] is not None else 0.0,
        len(record["response"]),
        metadata["tokens"] or 0,
        labels.setdefault(label, len(labels)),
        len(line),
    )


def sign(
    records: Path,
    signed: Path,
    *,
    shingles: dict[str, Any],
    permutations: int,
    threshold: float,
    recall: float,
) -> None:
    """Write the signatures of the records of a shard.

    `shingles` says of what (`unit`: words or characters) and of how many (`length`) the n-grams are; the bands are as
    many as propose a pair at `threshold` with probability `recall`.
    """
    bands, rows = minhash.banding(permutations, threshold, recall)
    kind = minhash.KINDS[shingles["unit"]]
    factors, summands = minhash.permutations_of(permutations)
    labels: dict[Label, int] = {}
    numbers, keys, counts = [], [], []
    waiting = iter(progress(parsed(records), "sign", "record"))
    batch: list[tuple[bytes, Record]] | None = None
    while batch is None or batch:  # once for a shard without records, too
        batch = list(itertools.islice(waiting, TOGETHER))
        normal = [(normalise(record["instruction"]), normalise(record["response"])) for _, record in batch]
        texts = [signatures.compared(*pair) for pair in normal]
        found = minhash.sign(*minhash.join(texts), kind, shingles["length"], factors, summands, bands, rows)
        described = [describe(*pair, exact, labels) for pair, exact in zip(batch, normal, strict=True)]
        keys.append(found[0])
        counts.append(found[1])
        numbers.append(np.array(described, NUMBERS))
    table = np.concatenate(numbers)
    columns = {name: table[name] for name in NUMBERS.names or () if name != "bytes"}
    columns["start"] = np.concatenate([[0], np.cumsum(table["bytes"])]).astype(np.int64)
    columns |= {"keys": np.concatenate(keys, axis=1), "count": np.concatenate(counts)}
    about = {**shingles, "permutations": permutations, "bands": bands, "rows": rows}
    signatures.save(signed, columns, [dict(zip(MIXED_BY, label, strict=True)) for label in labels], about)
