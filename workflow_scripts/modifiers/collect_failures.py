"""Find what the compressed base still gets wrong in a domain, on training-side prompts: its modifier learns that."""

from collections import Counter
from pathlib import Path

from ingot.errors import InputError
from ingot.inference.answer import Answer
from ingot.inference.gguf_model import open_engine
from ingot.io.records import Record, read_records, write_json, write_records
from ingot.measuring.answers import item_of, judged
from ingot.measuring.failures import failure, kind_of


def sort_out(records: list[Record], answers: list[Answer], model: str) -> tuple[list[Record], list[Record]]:
    """Return (failures, passed records) by whether `model` answered right."""
    failed, passed = [], []
    items = [item_of(record) for record in records]
    for record, item, answer, row in zip(records, items, answers, judged(items, answers), strict=True):
        if row["right"]:
            passed.append(record)
        else:
            failed.append(failure(record, kind_of(item, answer), answer.text, model))
    return failed, passed


def collect_failures(
    gguf: Path,
    checkpoint: Path,
    train: Path,
    failures: Path,
    passed: Path,
    report: Path,
    *,
    domain: str,
    most_asked: int,
    least_failures: int,
    context: int,
    longest: int,
    threads: int,
) -> None:
    """Write the records of `domain` that the base fails, and those that it passes.

    At most `most_asked` training prompts are asked, the first by id, which is as good as at random. Raises InputError
    for fewer than `least_failures` failures.
    """
    records = sorted((r for r in read_records(train) if r["metadata"]["domain"] == domain), key=lambda r: r["id"])
    records = records[:most_asked]
    if not records:
        raise InputError(f"no training record has the domain {domain!r}; remove it from `modifiers` or add data")
    engine = open_engine(gguf, checkpoint, context, threads)
    answers = engine.ask([record["instruction"] for record in records], longest)
    failed, right = sort_out(records, answers, gguf.stem)
    if len(failed) < least_failures:
        raise InputError(
            f"the base fails only {len(failed)} of {len(records)} {domain} prompts, {least_failures} are needed: it"
            " needs no modifier for this domain; remove it from `modifiers`"
        )
    write_records(failures, failed)
    write_records(passed, right)
    write_json(
        report,
        {
            "domain": domain,
            "asked": len(records),
            "failed": len(failed),
            "failed_by_difficulty": dict(sorted(Counter(r["metadata"]["difficulty"] for r in failed).items())),
            "failed_by_kind": dict(sorted(Counter(r["failure"]["kind"] for r in failed).items())),
        },
    )
