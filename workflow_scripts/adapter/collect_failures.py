"""Sort the answers to training prompts: what a model fails is taught, what it solves steadily is rehearsed."""

from collections import Counter
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.records import Record, read_records, write_json, write_records
from ingot.measuring.consistency import consistent, diverse
from ingot.measuring.failures import failure, kind_of
from ingot.settings.adapter import Consistency
from ingot.text.checkers import CHECKERS


def solutions(record: Record, answers: list[Record], settings: Consistency | None) -> list[str]:
    """Return what a record may be rehearsed with: the answer that most samples agree on, if it is right.

    In a domain of `diverse`, where no answer is the right one, up to as many as it says, unlike each other. Without
    settings, each record was asked once, and is rehearsed as it is if the answer is right.
    """
    if settings is None:
        return [record["response"]] if answers[0]["right"] else []
    ended = [answer["answer"] for answer in answers if answer["stopped"]]
    domain, checker = record["metadata"]["domain"], record["metadata"]["checker"]
    if domain in settings.diverse:
        return diverse(ended, settings.diverse[domain], settings.likeness)
    agreed = consistent(ended, CHECKERS[checker], settings.majority * len(answers))
    return [agreed] if agreed is not None and CHECKERS[checker](agreed, record["response"]) else []


def sort_out(
    records: list[Record], answers: list[list[Record]], settings: Consistency | None, model: str
) -> tuple[list[Record], list[Record]]:
    """Return (failures, consistent solutions) of the answers that each record got; a few are neither.

    A record fails if most of its answers are wrong.
    """
    failed, steady = [], []
    for record, samples in zip(records, answers, strict=True):
        kept = solutions(record, samples, settings)
        wrong = [sample for sample in samples if not sample["right"]]
        steady += [{**record, "response": text} for text in kept]
        if not kept and 2 * len(wrong) > len(samples):
            failed.append(failure(record, kind_of(wrong[0]), wrong[0]["answer"], model))
    return failed, steady


def counts(failed: list[Record]) -> dict[str, Any]:
    """Return how many records failed, in what way and where."""
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
    """Write failures and consistent solutions of `model`, and the answers that only a judge can judge.

    Those are of the domains `judged`. What has no end cannot be judged: it fails as it is. Raises InputError for fewer
    than `least_failures` failures.
    """
    records = [{key: value for key, value in row.items() if key != "ask"} for row in read_records(questions)]
    samples: dict[str, list[Record]] = {record["id"]: [] for record in records}
    for row in read_records(answers):
        samples[row["id"]].append(row)
    left = [r for r in records if r["metadata"]["domain"] in judged and samples[r["id"]][0]["stopped"]]
    left_ids = {record["id"] for record in left}
    checkable = [record for record in records if record["id"] not in left_ids]
    failed, steady = sort_out(checkable, [samples[record["id"]] for record in checkable], consistency, model)
    if len(failed) < least_failures:
        raise InputError(
            f"{model} fails only {len(failed)} of {len(records)} prompts, {least_failures} are needed: nothing is to be"
            " taught here; leave this domain out of `modifiers.domains`, or lower `least_failures`"
        )
    write_records(failures, failed)
    write_records(solved, steady)
    write_records(open_answers, ({**record, "answered": samples[record["id"]][0]["answer"]} for record in left))
    asked = {"asked": len(records), "answers": sum(map(len, samples.values()))}
    write_json(report, {**asked, **counts(failed), "consistent": len(steady), "left_to_the_judge": len(left)})
