"""Train a modifier: a LoRA adapter for what the compressed base gets wrong in a domain."""

from pathlib import Path

from ingot.errors import InputError
from ingot.io.records import read_records, write_json
from ingot.settings.training import LoraTraining
from ingot.training.sft import fine_tune


def train_modifier(
    model: Path,
    taught: Path,
    valid: Path,
    adapter: Path,
    report: Path,
    *,
    domain: str,
    training: LoraTraining,
    work: Path,
    curves: str,
    seed: int,
    threads: int,
) -> None:
    """Write the adapter, and a report of its training.

    It is trained over `model`, the checkpoint that the GGUF types were made from.

    Raises InputError if no validation record is of the domain.
    """
    watched = [r for r in read_records(valid) if r["metadata"]["domain"] == domain]
    if not watched:
        raise InputError(f"no validation record has the domain {domain!r}; raise `split.shares.valid`")
    records = list(read_records(taught))
    summary = fine_tune(
        model, records, watched, adapter, training, work=work, curves=Path(curves), seed=seed, threads=threads
    )
    write_json(report, {"domain": domain, **summary})
