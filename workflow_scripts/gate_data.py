"""The gate before training: nothing that is trained on may be among what is evaluated."""

from collections.abc import Iterator
from pathlib import Path

from lib.overlap import BenchmarkIndex
from lib.progress import progress
from lib.records import InputError, Record, read_records, write_json
from lib.text import normalise

SHOWN = 5  # of the records that close the gate


def repeated(record: Record, asked: dict[str, Path], index: BenchmarkIndex | None, items: list[Record]) -> str:
    """Return what of the evaluated a record repeats, or ""."""
    if source := asked.get(normalise(record["instruction"])):
        return f"the same question is in {source}"
    match = index.find(record["instruction"], record["response"]) if index else None
    return f"{match.how}: {items[match.item]['instruction'][:80]!r}" if match else ""


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

    def findings() -> Iterator[str]:
        for path in [*trained, *pretrained]:
            for record in progress(read_records(path), path.name, "record"):
                if what := repeated(record, asked, index if path in trained else None, items):
                    yield f"{path}: {record['instruction'][:80]!r}: {what}"

    if found := list(findings()):
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise InputError("what is evaluated is also trained on:\n  " + "\n  ".join([*found[:SHOWN], *more]))
    write_json(verdict, {"passed": True})
