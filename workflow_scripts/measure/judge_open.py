"""Let a judge compare the open answers of a model with those of its parent, in pairs and in both orders."""

from pathlib import Path

from ingot.io.records import write_json, write_records
from ingot.measuring.judging import judge_pairs, paired_answers, require_judgements, summary
from ingot.settings.judge import Judge
from ingot.settings.measure import JudgeOpen


def judge_open(
    ours: Path,
    theirs: Path,
    report: Path,
    judgements: Path,
    *,
    judge: Judge,
    settings: JudgeOpen,
    remembered: str,
) -> None:
    """Write how often the judge prefers our answers to open questions to our parent's, and every judgement.

    If there are too many, a sample by the hashes of the questions is judged: the same for every model.

    Raises InputError if the budget is spent, if the judge does not answer, or if too many pairs have no usable
    judgement. Missing judgements are not guessed.
    """
    pairs = [pair for pair in paired_answers(ours, theirs) if pair[0]["right"] is None]
    pairs = sorted(pairs, key=lambda pair: str(pair[0]["id"]))[: settings.most]
    rows, cost = judge_pairs(pairs, judge, Path(remembered))
    require_judgements(len(pairs), len(rows), settings.malformed, "judge_open.malformed")
    write_records(judgements, rows)
    write_json(report, {**summary(rows), "without_judgement": len(pairs) - len(rows), "judge": cost})
