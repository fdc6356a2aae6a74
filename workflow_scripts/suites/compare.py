"""Let a judge compare the answers of a model with those of another one: blind, and in both orders."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.records import Record, read_records, write_json, write_records
from ingot.measuring.judging import judge_pairs, require_judgements, verdict_of
from ingot.measuring.significance import mean_interval
from ingot.settings.judge import Judge
from ingot.settings.measure import Compare, NextRound


def share(rows: list[Record]) -> dict[str, float]:
    """Return wins, ties and losses, and the score, where a tie is half a win, with its 95 % interval."""
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in ("win", "tie", "loss")}
    worth = {"win": 1.0, "tie": 0.5, "loss": 0.0}
    return {**counts, **mean_interval([worth[row["verdict"]] for row in rows])}


def summary(rows: list[Record]) -> dict[str, Any]:
    """Return the figures of all judgements: score per category, agreement of the orders, preference for a place."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for row in rows:
        groups[row["domain"]].append(row)
    agreeing = sum(verdict_of(row["ours_first"]) == verdict_of(row["theirs_first"]) for row in rows)
    # Half the difference between the orders is what the first place is worth, whoever stands there.
    lean = sum(row["ours_first"] - row["theirs_first"] for row in rows) / 2 / max(1, len(rows))
    return {
        "all": share(rows),
        "domains": {name: share(found) for name, found in sorted(groups.items())},
        "orders_agree": round(agreeing / max(1, len(rows)), 4),
        "first_place_worth": round(lean, 3),
    }


def decide(score: dict[str, float], thresholds: NextRound) -> str:
    """Return whether another round of training is to "skip", "optional" or "required".

    It can be skipped if the whole interval is at or above the threshold `skip`, and is required if the whole interval
    is below `required`. Parity is 50 %: a model that wins 90 % is not equal to its rival, but far better.
    """
    if score["low"] >= thresholds.skip:
        return "skip"
    return "required" if score["high"] < thresholds.required else "optional"


def paired_answers(ours: Path, theirs: Path) -> list[tuple[Record, Record]]:
    """Return the answers of two models to the same questions; InputError where they were asked others."""
    our, their = list(read_records(ours)), list(read_records(theirs))
    pairs = list(zip(our, their, strict=False))
    if len(our) != len(their) or not pairs or any(a["instruction"] != b["instruction"] for a, b in pairs):
        raise InputError(f"{ours} and {theirs} do not answer the same questions; build both of them again")
    return pairs


def compare(
    ours: Path,
    theirs: Path,
    report: Path,
    judgements: Path,
    *,
    names: dict[str, str],
    judge: Judge,
    settings: Compare,
    remembered: str,
) -> None:
    """Write how often the judge prefers our answers to theirs, and every judgement.

    Raises InputError where the budget is spent, the judge does not answer, or more than the allowed share of the
    pairs have no usable judgement; nothing is guessed.
    """
    pairs = paired_answers(ours, theirs)
    rows, cost = judge_pairs(pairs, judge, Path(remembered))
    require_judgements(len(pairs), len(rows), settings.malformed, "compare.malformed")
    figures = summary(rows)
    table = {
        name: decide(one, settings.next_round) for name, one in {"all": figures["all"], **figures["domains"]}.items()
    }
    write_records(judgements, rows)
    write_json(
        report,
        {
            **names,
            **figures,
            "next_round": table,
            "without_judgement": len(pairs) - len(rows),
            "judge": cost,
        },
    )
