"""Train the adapter over the base, by LoRA or QLoRA, on the records that the data stage has left."""

from pathlib import Path

from ingot.io.records import of_difficulty, read_records, write_json
from ingot.settings.adapter import Adapt
from ingot.training.sft import fine_tune


def adapt(
    base: Path,
    train: Path,
    valid: Path,
    adapter: Path,
    report: Path,
    *,
    settings: Adapt,
    work: Path,
    curves: str,
    seed: int,
    threads: int,
) -> None:
    """Write the adapter with the lowest validation loss, and a report of sizes and losses."""
    lessons = of_difficulty(read_records(train), settings.difficulties)
    watched = of_difficulty(read_records(valid), settings.difficulties)
    summary = fine_tune(
        base,
        lessons,
        watched,
        adapter,
        settings.training,
        work=work,
        curves=Path(curves),
        seed=seed,
        threads=threads,
        backend=settings.backend,
    )
    write_json(report, summary)
