"""A targeted round: go on training on what was failed, and keep the result only if a test shows that it is better."""

import shutil
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.inference.checkpoint import Checkpoint
from ingot.io.records import Record, of_difficulty, read_json, read_records, write_json
from ingot.measuring.answers import ask, domain_shares
from ingot.measuring.failures import with_rehearsal
from ingot.measuring.significance import compare_pairs, forgetting
from ingot.settings.adapter import RoundLimits
from ingot.settings.training import LoraTraining
from ingot.text.forms import unit_hash
from ingot.training.sft import fine_tune


def halves(records: list[Record]) -> tuple[list[Record], list[Record]]:
    """Return the records to watch the loss on, and those to judge the round by: by the hash of their prompts."""
    parts: tuple[list[Record], list[Record]] = ([], [])
    for record in records:
        parts[unit_hash(f"round {record['instruction']}") < 0.5].append(record)
    return parts


def marks(folders: list[Path], records: list[Record], batch: int, longest: int) -> list[Record]:
    """Return what a base with an adapter answers to records, and whether it is right."""
    model = Checkpoint(folders, batch)
    return ask(model, records, longest)


def verdict(before: list[Record], after: list[Record], limits: RoundLimits) -> dict[str, Any]:
    """Return the gain of a round, by the paired test and by domain, and whether it is `kept`.

    It is if more is right, by McNemar's exact test at `max_p_value`, and no more than `max_forgetting` points are lost
    in the domains that fell.
    """
    paired = compare_pairs([row["right"] for row in after], [row["right"] for row in before])
    shares = domain_shares(before), domain_shares(after)
    lost = forgetting(*shares)
    better = paired["gain"] > 0 and paired["p_value"] <= limits.max_p_value
    return {
        "questions": len(after),
        "versus_before": paired,
        "forgetting": lost,
        "domains": {
            name: {"before": round(share, 4), "after": round(shares[1][name], 4)} for name, share in shares[0].items()
        },
        "kept": better and lost <= limits.max_forgetting,
    }


def copy(folder: Path, to: Path) -> None:
    """Copy an adapter, but for the hidden files with which Snakemake marks its folders."""
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
    longest: int,
    work: str,
    seed: int,
    threads: int,
) -> None:
    """Write the better one of the adapter `before` and that adapter trained on what it failed; and a report.

    `earlier` is [] or the report of the round before: a round after one that did not help is not trained at all.
    """
    failed = [record for path in failures for record in read_records(path)]
    found: dict[str, Any] = {"round": int(turn), "failures": len(failed), "kept": False}
    if earlier and not read_json(earlier[0])["kept"]:
        found["stopped"] = "the round before did not help"
    elif len(failed) < least_failures:
        found["stopped"] = f"fewer than {least_failures} failures are left"
    if "stopped" in found:
        copy(before, adapter)
        write_json(report, found)
        return
    watched, proving = halves(of_difficulty(read_records(valid), difficulties))
    if not watched or not proving:
        raise InputError(f"{valid}: too few records to watch a round and to judge it by; raise `split.shares.valid`")
    candidate = Path(work) / "adapter"
    taught = with_rehearsal(failed, list(read_records(solved)), rehearsal, seed)
    summary = fine_tune(
        base, taught, watched, candidate, training, work=Path(work), seed=seed, threads=threads, start=before
    )
    old, new = (marks([base, folder], proving, batch, longest) for folder in (before, candidate))
    found |= {"taught": len(taught), **verdict(old, new, limits), "training": summary}
    copy(candidate if found["kept"] else before, adapter)
    shutil.rmtree(candidate)
    write_json(report, found)
