"""Let a judge compare open answers with their references. An answer that is not better is a failure, too."""

from collections import Counter
from pathlib import Path

from ingot.io.records import Record, read_records, write_json, write_records
from ingot.measuring.failures import failure
from ingot.measuring.judging import judge_pairs, require_judgements
from ingot.settings.judge import Judge


def pair_of(record: Record) -> tuple[Record, Record]:
    """Pair the model's answer to a record with its reference, in the form in which they are judged."""
    question = {"instruction": record["instruction"], **{k: record["metadata"][k] for k in ("domain", "difficulty")}}
    return question | {"answer": record["answered"]}, question | {"answer": record["response"]}


def judge_round(
    open_answers: Path,
    judged: Path,
    report: Path,
    *,
    turn: str,
    judge: Judge,
    malformed: float,
    remembered: str,
) -> None:
    """Write the answers that lose against their reference, or only equal it, as failures.

    `malformed` is the share of pairs, from 0 to 1, that may have no usable judgement. `remembered` is the folder where
    the judge's answers are kept.

    Raises InputError if the budget is spent, the judge does not answer, or too many pairs have no usable judgement.
    """
    records = list(read_records(open_answers))
    rows, cost = judge_pairs([pair_of(record) for record in records], judge, Path(remembered))
    require_judgements(len(records), len(rows), malformed, "target.judged.malformed")
    failed = []
    for row in rows:
        if row["verdict"] != "win":
            record = {key: value for key, value in records[row["place"]].items() if key != "answered"}
            failed.append(failure(record, row["verdict"], row["ours"], f"round {int(turn) - 1}"))
    write_records(judged, failed)
    verdicts = dict(sorted(Counter(row["verdict"] for row in rows).items()))
    write_json(report, {"asked": len(records), "judged": len(rows), "verdicts": verdicts, "judge": cost})
