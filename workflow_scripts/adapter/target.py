"""Run a targeted round: train the adapter on its failures, and keep the result only if a test shows a gain."""

import shutil
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.inference.checkpoint import Checkpoint
from ingot.io.records import Record, of_difficulty, read_json, read_records, write_json
from ingot.measuring.answers import ask, compare_likelihoods, domain_shares, marks, with_likelihoods
from ingot.measuring.failures import with_rehearsal
from ingot.measuring.significance import compare_pairs, forgetting, spent
from ingot.settings.adapter import RoundLimits
from ingot.settings.measure import Longest
from ingot.settings.training import LoraTraining
from ingot.text.forms import unit_hash
from ingot.training.sft import fine_tune


def halves(records: list[Record]) -> tuple[list[Record], list[Record]]:
    """Split records, by the hash of the prompt, into those to watch the loss on and those to judge the round by."""
    parts: tuple[list[Record], list[Record]] = ([], [])
    for record in records:
        parts[unit_hash(f"round {record['instruction']}") < 0.5].append(record)
    return parts


def asked(folders: list[Path], records: list[Record], batch: int, longest: Longest) -> list[Record]:
    """Ask a base with an adapter, and return the rows of its answers. `folders` are those of the two."""
    model = Checkpoint(folders, batch)
    return with_likelihoods(model, ask(model, records, longest))


def verdict(before: list[Record], after: list[Record], limits: RoundLimits, turn: int) -> dict[str, Any]:
    """Compare the answers before and after a round, and decide whether its adapter is `kept`.

    It is kept if three things hold. More answers are right, or the references of open questions are likelier, with a p
    value of at most the part of `max_p_value` that this round may spend (half of it each, if there are both): all
    rounds together are fooled by chance no more often than one would be. Neither of the two got worse by that measure.
    And the domains fell by at most `max_forgetting` points, on average.
    """
    alpha = spent(limits.max_p_value, turn)
    paired = compare_pairs(marks(after), marks(before))
    of_open = compare_likelihoods(after, before).get("all")
    tests = [paired] * bool(marks(after)) + ([of_open] if of_open else [])
    shares = domain_shares(before), domain_shares(after)
    lost = forgetting(*shares)
    better = any(test["gain"] > 0 and min(1, test["p_value"] * len(tests)) <= alpha for test in tests)
    worse = any(test["gain"] < 0 and test["p_value"] <= alpha < 1 for test in tests)
    return {
        "questions": len(marks(after)),
        "versus_before": paired,
        "open_versus_before": of_open,
        "most_p": round(alpha, 6),
        "forgetting": lost,
        "domains": {
            name: {"before": round(share, 4), "after": round(shares[1][name], 4)} for name, share in shares[0].items()
        },
        "kept": better and not worse and lost <= limits.max_forgetting,
    }


def copy(folder: Path, to: Path) -> None:
    """Copy an adapter, without the hidden files with which Snakemake marks folders."""
    shutil.copytree(folder, to, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))


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
        copy(before, adapter)
        write_json(report, result)
        return
    watched, judging = halves(of_difficulty(read_records(valid), difficulties))
    if not watched or not judging:
        raise InputError(
            f"{valid}: there are too few records to watch the loss on and to judge the round by; raise"
            " `split.shares.valid`"
        )
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
    old, new = (asked([base, folder], judging, batch, longest) for folder in (before, candidate))
    result |= {"taught": len(taught), **verdict(old, new, limits, int(turn)), "training": summary}
    copy(candidate if result["kept"] else before, adapter)
    write_json(report, result)
