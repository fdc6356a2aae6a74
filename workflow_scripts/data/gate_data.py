"""The gate before training: nothing that is trained on may be among what is evaluated."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from ingot.curation.accounting import parsed
from ingot.curation.overlap import BenchmarkIndex
from ingot.errors import InputError
from ingot.io.progress import progress
from ingot.io.records import Record, read_records, write_json
from ingot.text.forms import normalise

SHOWN = 5  # of the records that close the gate
TOGETHER = 2000  # records compared in one call


def repeated(path: Path, asked: dict[str, Path], index: BenchmarkIndex | None, items: list[Record]) -> Iterator[str]:
    """Yield what of the evaluated the records of a file repeat."""
    waiting = iter(progress((record for _, record in parsed(path)), path.name, "record"))
    while batch := list(itertools.islice(waiting, TOGETHER)):
        matches = index.find_all(batch) if index else [None] * len(batch)
        for record, match in zip(batch, matches, strict=True):
            what = f"{match.how}: {items[match.item]['instruction'][:80]!r}" if match else ""
            if source := asked.get(normalise(record["instruction"])):
                what = f"the same question is in {source}"
            if what:
                yield f"{path}: {record['instruction'][:80]!r}: {what}"


def gate_data(
    trained: list[Path],
    pretrained: list[Path],
    benchmarks: list[Path],
    test: Path,
    verdict: Path,
    *,
    shingle: int,
    threshold: float,
) -> None:
    """Write the verdict if nothing that is trained on repeats what is evaluated, else raise InputError with both.

    What repeats a benchmark item in whatever dress counts for `trained`, as in `decontaminate`. Of the test part, from
    which near duplicates were dropped before it was split off, and for `pretrained`, the same question counts.
    """
    items = [item for path in benchmarks for item in read_records(path)]
    asked = {normalise(item["instruction"]): path for path in [*benchmarks, test] for item in read_records(path)}
    index = BenchmarkIndex(items, shingle, threshold)

    found = [
        what
        for path in [*trained, *pretrained]
        for what in repeated(path, asked, index if path in trained else None, items)
    ]
    if found:
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise InputError("what is evaluated is also trained on:\n  " + "\n  ".join([*found[:SHOWN], *more]))
    write_json(verdict, {"passed": True})
