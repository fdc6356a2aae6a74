"""Sign the records of a part: note what `deduplicate` must know of each to find its duplicates in all parts."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from ingot.curation.accounting import MIXED_BY, parsed
from ingot.io.progress import progress
from ingot.io.records import Record
from ingot.settings.data import Sign
from ingot.text import minhash, signatures
from ingot.text.compiled_forms import normal_pairs
from ingot.text.minhash import Bytes, Places

Label = tuple[str, ...]
Columns = dict[str, NDArray[Any]]
TOGETHER = 2000  # records signed in one call
KINDS: dict[str, type] = {
    **dict.fromkeys(("id", "line", "exact_high", "exact_low"), np.uint64),
    **dict.fromkeys(("length", "tokens", "bytes"), np.int64),
    "quality": np.float64,
    "label": np.int32,
}
"""The number type of each column."""


def describe(
    batch: list[tuple[bytes, Record]], normal: tuple[Bytes, Places, Places], labels: dict[Label, int]
) -> Columns:
    """Make the columns of ingot.text.signatures that need no shingles, given the normal forms of the records."""
    data, starts, firsts = normal
    view = data.data
    # The seed says where the question ends: the same words are another record if the answer begins elsewhere.
    exact = b"".join(
        xxhash.xxh3_128_digest(view[begin:end], seed=first)
        for begin, end, first in zip(starts[:-1].tolist(), starts[1:].tolist(), firsts.tolist(), strict=True)
    )
    high, low = np.frombuffer(exact, ">u8").reshape(-1, 2).T
    lines, records = [line for line, _ in batch], [record for _, record in batch]
    about = [record["metadata"] for record in records]
    mixed_by = [tuple(metadata[name] for name in MIXED_BY) for metadata in about]
    columns = {
        "id": np.frombuffer(bytes.fromhex("".join(record["id"] for record in records)), ">u8"),
        "line": [xxhash.xxh3_64_intdigest(line) for line in lines],
        "exact_high": high,
        "exact_low": low,
        "quality": [metadata["quality_score"] or 0.0 for metadata in about],
        "length": [len(record["response"]) for record in records],
        "tokens": [metadata["tokens"] or 0 for metadata in about],
        "label": [labels.setdefault(label, len(labels)) for label in mixed_by],
        "bytes": [len(line) for line in lines],
    }
    return {name: np.asarray(column, KINDS[name]) for name, column in columns.items()}


def sign(records: Path, signed: Path, *, settings: Sign) -> None:
    """Write the signatures of the records of a part.

    There are as many bands as propose a pair right at the threshold with the probability `recall`.
    """
    shingles = settings.shingles
    bands, rows = minhash.banding(settings.permutations, settings.threshold, settings.recall)
    kind = minhash.KINDS[shingles.unit]
    factors, summands = minhash.permutations_of(settings.permutations)
    labels: dict[Label, int] = {}
    batches: list[Columns] = []
    waiting = iter(progress(parsed(records), "sign", "record"))
    batch: list[tuple[bytes, Record]] | None = None
    while batch is None or batch:  # at least once: a part without records has columns, too
        batch = list(itertools.islice(waiting, TOGETHER))
        normal = normal_pairs([record for _, record in batch])
        keys, counts = minhash.sign(*normal[:2], kind, shingles.length, factors, summands, bands, rows)
        batches.append({**describe(batch, normal, labels), "keys": keys, "count": counts})
    columns = {name: np.concatenate([columns[name] for columns in batches], axis=-1) for name in batches[0]}
    columns["start"] = np.concatenate([[0], np.cumsum(columns.pop("bytes"))])
    about = {**shingles.model_dump(), "permutations": settings.permutations, "bands": bands, "rows": rows}
    signatures.save(signed, columns, [dict(zip(MIXED_BY, label, strict=True)) for label in labels], about)
