"""Train a modifier: an adapter of its own rank for what the compressed base gets wrong in one domain."""

from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.records import read_records, write_json
from ingot.training.sft import fine_tune


def train_modifier(
    scaled: Path,
    taught: Path,
    valid: Path,
    adapter: Path,
    report: Path,
    *,
    domain: str,
    training: dict[str, Any],
    work: str,
    seed: int,
    threads: int,
) -> None:
    """Write the adapter over `scaled`, the weights that the GGUF types were rounded from, and a report."""
    watched = [r for r in read_records(valid) if r["metadata"]["domain"] == domain]
    if not watched:
        raise InputError(f"no validation record has the domain {domain!r}; raise `split.shares.valid`")
    records = list(read_records(taught))
    summary = fine_tune(scaled, records, watched, adapter, training, work=Path(work), seed=seed, threads=threads)
    write_json(report, {"domain": domain, **summary})
