"""Train the adapter: QLoRA on the base, on what the data stage has left."""

from pathlib import Path
from typing import Any

from ingot.io.records import of_difficulty, read_records, write_json
from ingot.training.sft import fine_tune


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
    chosen = of_difficulty(read_records(train), difficulties)
    watched = of_difficulty(read_records(valid), difficulties)
    summary = fine_tune(
        base, chosen, watched, adapter, training, work=Path(work), seed=seed, threads=threads, backend=backend
    )
    write_json(report, summary)
