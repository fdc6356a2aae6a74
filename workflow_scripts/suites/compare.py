"""Let a judge compare the answers of two models. It does not see whose they are, and sees both orders."""

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
    """Count wins, ties and losses, and compute the score with its 95 % interval. A tie counts as half a win."""
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in ("win", "tie", "loss")}
    worth = {"win": 1.0, "tie": 0.5, "loss": 0.0}
    return {**counts, **mean_interval([worth[row["verdict"]] for row in rows])}


def summary(rows: list[Record]) -> dict[str, Any]:
    """Summarise the judgements: the score over all and per domain, and how the order of answers changes verdicts."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for row in rows:
        groups[row["domain"]].append(row)
    agreeing = sum(verdict_of(row["ours_first"]) == verdict_of(row["theirs_first"]) for row in rows)
    # An answer gains by being shown first, whoever wrote it. The gain is half the difference between the two orders.
    first_place_worth = sum(row["ours_first"] - row["theirs_first"] for row in rows) / 2 / max(1, len(rows))
    return {
        "all": share(rows),
        "domains": {name: share(rows_of_domain) for name, rows_of_domain in sorted(groups.items())},
        "orders_agree": round(agreeing / max(1, len(rows)), 4),
        "first_place_worth": round(first_place_worth, 3),
    }


def decide(score: dict[str, float], thresholds: NextRound) -> str:
    """Decide whether to "skip" another round of training, or whether it is "optional" or "required".

    It is "skip" if the whole interval of the score is at or above the threshold `skip`, and "required" if the whole
    interval is below the threshold `required`. Two equal models have a score of 50 %. A score of 90 % means that ours
    is far better.
    """
    if score["low"] >= thresholds.skip:
        return "skip"
    return "required" if score["high"] < thresholds.required else "optional"


def paired_answers(ours: Path, theirs: Path) -> list[tuple[Record, Record]]:
    """Pair the answers of two models by question. Raises InputError if they were not asked the same questions."""
    our_rows, their_rows = list(read_records(ours)), list(read_records(theirs))
    pairs = list(zip(our_rows, their_rows, strict=False))
    if len(our_rows) != len(their_rows) or not pairs or any(a["instruction"] != b["instruction"] for a, b in pairs):
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

    Raises InputError if the budget is spent, if the judge does not answer, or if too many pairs have no usable
    judgement. Missing judgements are not guessed.
    """
    pairs = paired_answers(ours, theirs)
    rows, cost = judge_pairs(pairs, judge, Path(remembered))
    require_judgements(len(pairs), len(rows), settings.malformed, "compare.malformed")
    figures = summary(rows)
    scores = {"all": figures["all"], **figures["domains"]}
    decisions = {name: decide(score, settings.next_round) for name, score in scores.items()}
    write_records(judgements, rows)
    write_json(
        report,
        {
            **names,
            **figures,
            "next_round": decisions,
            "without_judgement": len(pairs) - len(rows),
            "judge": cost,
        },
    )
