"""Let a judge compare the answers of two models. It does not see whose they are, and sees both orders."""

from pathlib import Path

from ingot.io.records import write_json, write_records
from ingot.measuring.judging import judge_pairs, paired_answers, require_judgements, summary
from ingot.settings.judge import Judge
from ingot.settings.measure import Compare, NextRound


def decide(score: dict[str, float], thresholds: NextRound) -> str:
    """Decide whether to "skip" another round of training, or whether it is "optional" or "required".

    It is "skip" if the whole interval of the score is at or above the threshold `skip`, and "required" if the whole
    interval is below the threshold `required`. Two equal models have a score of 50 %. A score of 90 % means that ours
    is far better.
    """
    if score["low"] >= thresholds.skip:
        return "skip"
    return "required" if score["high"] < thresholds.required else "optional"


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
