"""Sort the prompts that a model was asked: those that it fails will be taught, those that it solves are rehearsed."""

from collections import Counter
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.records import Record, read_records, write_json, write_records
from ingot.measuring.consistency import consistent, diverse
from ingot.measuring.failures import failure, kind_of
from ingot.settings.adapter import Consistency
from ingot.text.checkers import CHECKERS, OPEN, is_right


def solutions(record: Record, answers: list[Record], settings: Consistency | None) -> list[str]:
    """Return the answers that a record may be rehearsed with.

    That is the answer that most samples agree on, if it is right. A domain of `diverse` has no single right answer; it
    gets several answers that are unlike each other. Without settings, a record was asked once. If the answer is right,
    or open, the record is rehearsed with its own reference.
    """
    domain, checker = record["metadata"]["domain"], record["metadata"]["checker"]
    if settings is None or (checker == OPEN and domain not in settings.diverse):
        return [record["response"]] if answers[0]["right"] in (True, None) else []
    ended = [answer["answer"] for answer in answers if answer["stopped"]]
    if domain in settings.diverse:
        return diverse(ended, settings.diverse[domain], settings.likeness)
    agreed = consistent(ended, CHECKERS[checker], settings.majority * len(answers))
    accepted = record["metadata"].get("accepted")
    right = agreed is not None and is_right(checker, agreed, record["response"], accepted)
    return [agreed] if agreed is not None and right else []


def sort_out(
    records: list[Record], answers: list[list[Record]], settings: Consistency | None, model: str
) -> tuple[list[Record], list[Record]]:
    """Sort records into failures and consistent solutions, by the `answers` to each. A few records are neither.

    A record is a failure if it has no solution and most of its answers are wrong.
    """
    failed, steady = [], []
    for record, samples in zip(records, answers, strict=True):
        solved_with = solutions(record, samples, settings)
        wrong = [sample for sample in samples if sample["right"] is False]
        steady += [{**record, "response": text} for text in solved_with]
        if not solved_with and 2 * len(wrong) > len(samples):
            failed.append(failure(record, kind_of(wrong[0]), wrong[0]["answer"], model))
    return failed, steady


def counts(failed: list[Record]) -> dict[str, Any]:
    """Count the failures: all of them, by kind, by domain and by difficulty."""
    return {
        "failed": len(failed),
        "failed_by_kind": dict(sorted(Counter(row["failure"]["kind"] for row in failed).items())),
        "failed_by_domain": dict(sorted(Counter(row["metadata"]["domain"] for row in failed).items())),
        "failed_by_difficulty": dict(sorted(Counter(row["metadata"]["difficulty"] for row in failed).items())),
    }


def collect_failures(
    questions: Path,
    answers: Path,
    failures: Path,
    solved: Path,
    open_answers: Path,
    report: Path,
    *,
    model: str,
    consistency: Consistency | None,
    judged: list[str],
    least_failures: int,
) -> None:
    """Write the failures and the consistent solutions of `model`, and the answers that only a judge can judge.

    The judge gets the answers in the domains `judged`. An answer that was cut off is not worth judging: it is checked
    like the others.

    Raises InputError if there are fewer than `least_failures` failures.
    """
    records = [{key: value for key, value in row.items() if key != "ask"} for row in read_records(questions)]
    samples: dict[str, list[Record]] = {record["id"]: [] for record in records}
    for row in read_records(answers):
        samples[row["id"]].append(row)
    for_judge = [r for r in records if r["metadata"]["domain"] in judged and samples[r["id"]][0]["stopped"]]
    ids_for_judge = {record["id"] for record in for_judge}
    checkable = [record for record in records if record["id"] not in ids_for_judge]
    failed, steady = sort_out(checkable, [samples[record["id"]] for record in checkable], consistency, model)
    if len(failed) < least_failures:
        raise InputError(
            f"{model} fails only {len(failed)} of {len(records)} prompts, {least_failures} are needed: there is too"
            " little to teach; leave this domain out of `modifiers.domains`, or lower `least_failures`"
        )
    write_records(failures, failed)
    write_records(solved, steady)
    write_records(open_answers, ({**record, "answered": samples[record["id"]][0]["answer"]} for record in for_judge))
    answered = sum(row["answer"] is not None for rows in samples.values() for row in rows)
    totals = {"asked": len(records), "answers": answered}
    write_json(report, {**totals, **counts(failed), "consistent": len(steady), "left_to_the_judge": len(for_judge)})
