"""Train the adapter: QLoRA on the base, on what the data stage has left."""

from pathlib import Path
from typing import Any

from lib.records import InputError, Record, read_records, write_json
from lib.sft import fine_tune


def choose(records: list[Record], difficulties: list[str]) -> list[Record]:
    """Return the records of the wanted difficulties; InputError if there are none."""
    chosen = [r for r in records if r["metadata"]["difficulty"] in difficulties]
    if not chosen:
        raise InputError(f"no record of difficulty {difficulties}; set `adapt.difficulties` to what your data has")
    return chosen


def adapt(
    base: Path,
    train: Path,
    valid: Path,
    adapter: Path,
    report: Path,
    *,
    backend: str,
    training: dict[str, Any],
    difficulties: list[str],
    work: str,
    seed: int,
    threads: int,
) -> None:
    """Write the adapter with the lowest validation loss, and a report of sizes and losses."""
    chosen = choose(list(read_records(train)), difficulties)
    watched = choose(list(read_records(valid)), difficulties)
    summary = fine_tune(
        base, chosen, watched, adapter, training, work=Path(work), seed=seed, threads=threads, backend=backend
    )
    write_json(report, summary)
