"""Train the adapter to prefer right answers to its own wrong ones. The result is kept only if a test shows a gain."""

from pathlib import Path
from typing import Any

from ingot.io.records import of_difficulty, read_records, write_json
from ingot.measuring.rounds import asked_both, copy_adapter, halves, verdict
from ingot.settings.adapter import Prefer
from ingot.settings.measure import Longest
from ingot.training.preference import tune_on_pairs


def prefer(
    base: Path,
    before: Path,
    failures: list[Path],
    valid: Path,
    adapter: Path,
    report: Path,
    *,
    settings: Prefer,
    turn: int,
    difficulties: list[str],
    batch: int,
    longest: Longest,
    work: Path,
    curves: str,
    seed: int,
    threads: int,
) -> None:
    """Train the adapter `before` on its failures. Write the trained one if it is better, else `before`; and a report.

    `turn` is the number of this round, with the targeted ones before it: they share the p value that may be spent.

    Raises InputError if there are too few validation records.
    """
    failed = [record for path in failures for record in read_records(path)]
    # An answer that was cut off may have begun well, and one that equals the reference is as good.
    pairs = [record for record in failed if record["failure"]["kind"] not in ("unended", "tie")]
    result: dict[str, Any] = {"pairs": len(pairs), "loss": settings.loss, "kept": False}
    if len(pairs) < settings.least_pairs:
        result["stopped"] = f"fewer than {settings.least_pairs} pairs"
        copy_adapter(before, adapter)
        write_json(report, result)
        return
    _, judging = halves(of_difficulty(read_records(valid), difficulties), valid)
    candidate = work / "adapter"
    summary = tune_on_pairs(
        base, before, pairs, candidate, settings, work=work, curves=Path(curves), seed=seed, threads=threads
    )
    old, new = asked_both(base, (before, candidate), judging, batch, longest, work)
    result |= {**verdict(old, new, settings.limits, turn), "training": summary}
    copy_adapter(candidate if result["kept"] else before, adapter)
    write_json(report, result)
