"""Find what the compressed base still gets wrong in a domain, on training-side prompts: its modifier learns that."""

import random
from collections import Counter
from pathlib import Path

from lib.engine import Engine, open_engine
from lib.measurement import item_of, judged
from lib.records import InputError, Record, read_records, write_json, write_records


def ask(engine: Engine, records: list[Record], longest: int) -> list[bool]:
    """Tell for every record whether the base answers it right."""
    engine.use(None)
    items = [item_of(record) for record in records]
    answers = engine.ask([item.instruction for item in items], longest)
    return [row["right"] for row in judged(items, answers)]


def collect_failures(
    gguf: Path,
    checkpoint: Path,
    train: Path,
    failures: Path,
    report: Path,
    *,
    domain: str,
    most_asked: int,
    rehearsal: float,
    least_failures: int,
    context: int,
    longest: int,
    seed: int,
    threads: int,
) -> None:
    """Write the records of `domain` that the base fails, with a share of those it passes as rehearsal.

    At most `most_asked` training prompts are asked, the first by id, which is as good as at random. `rehearsal` is
    the number of passed records per failed one. Raises InputError for fewer than `least_failures` failures.
    """
    records = sorted((r for r in read_records(train) if r["metadata"]["domain"] == domain), key=lambda r: r["id"])
    records = records[:most_asked]
    if not records:
        raise InputError(f"no training record has the domain {domain!r}; remove it from `modifiers` or add data")
    marks = ask(open_engine(gguf, checkpoint, context, threads), records, longest)
    failed = [record for record, right in zip(records, marks, strict=True) if not right]
    passed = [record for record, right in zip(records, marks, strict=True) if right]
    if len(failed) < least_failures:
        raise InputError(
            f"the base fails only {len(failed)} of {len(records)} {domain} prompts, {least_failures} are needed: it"
            " needs no modifier for this domain; remove it from `modifiers`"
        )
    kept = random.Random(seed).sample(passed, min(len(passed), round(rehearsal * len(failed))))
    write_records(failures, failed + kept)
    difficulties = dict(sorted(Counter(r["metadata"]["difficulty"] for r in failed).items()))
    write_json(
        report,
        {
            "domain": domain,
            "asked": len(records),
            "failed": len(failed),
            "rehearsed": len(kept),
            "failed_by_difficulty": difficulties,
        },
    )
