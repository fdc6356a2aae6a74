"""Run a targeted round: train the adapter on its failures, and keep the result only if a test shows a gain."""

from pathlib import Path
from typing import Any

from ingot.io.records import of_difficulty, read_json, read_records, write_json
from ingot.measuring.failures import with_rehearsal
from ingot.measuring.rounds import asked_both, copy_adapter, halves, verdict
from ingot.settings.adapter import RoundLimits
from ingot.settings.measure import Longest
from ingot.settings.training import LoraTraining
from ingot.training.sft import fine_tune


def target(
    base: Path,
    before: Path,
    failures: list[Path],
    solved: Path,
    valid: Path,
    earlier: list[Path],
    adapter: Path,
    report: Path,
    *,
    turn: str,
    difficulties: list[str],
    training: LoraTraining,
    rehearsal: float,
    least_failures: int,
    limits: RoundLimits,
    batch: int,
    longest: Longest,
    work: Path,
    curves: str,
    seed: int,
    threads: int,
) -> None:
    """Train the adapter `before` on its failures. Write the trained one if it is better, else `before`; and a report.

    `earlier` is the report of the round before, or []. If that round did not help, or if there are fewer than
    `least_failures` failures, nothing is trained.

    Raises InputError if there are too few validation records.
    """
    failed = [record for path in failures for record in read_records(path)]
    result: dict[str, Any] = {"round": int(turn), "failures": len(failed), "kept": False}
    if earlier and not read_json(earlier[0])["kept"]:
        result["stopped"] = "the round before did not help"
    elif len(failed) < least_failures:
        result["stopped"] = f"fewer than {least_failures} failures are left"
    if "stopped" in result:
        copy_adapter(before, adapter)
        write_json(report, result)
        return
    watched, judging = halves(of_difficulty(read_records(valid), difficulties), valid)
    candidate = work / "adapter"
    taught = with_rehearsal(failed, list(read_records(solved)), rehearsal, seed)
    summary = fine_tune(
        base,
        taught,
        watched,
        candidate,
        training,
        work=work,
        curves=Path(curves),
        seed=seed,
        threads=threads,
        start=before,
    )
    old, new = asked_both(base, (before, candidate), judging, batch, longest, work)
    result |= {"taught": len(taught), **verdict(old, new, limits, int(turn)), "training": summary}
    copy_adapter(candidate if result["kept"] else before, adapter)
    write_json(report, result)
