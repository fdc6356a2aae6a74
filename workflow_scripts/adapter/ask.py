"""Ask the model training-side prompts: what it fails, the next round teaches; what it solves steadily, it rehearses."""

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ingot.inference.answer import Answer
from ingot.inference.checkpoint import Checkpoint
from ingot.io.records import Record, of_difficulty, read_json, read_records, write_json, write_records
from ingot.measuring.answers import item_of, judged
from ingot.measuring.consistency import consistent, diverse
from ingot.measuring.failures import failure, kind_of
from ingot.text import chat
from ingot.text.checkers import CHECKERS

Complete = Callable[[list[str], float, int], list[list[Answer]]]  # prompts, temperature, samples -> answers to each


def records_of(records: list[Record], most: int, turn: int) -> list[Record]:
    """Return the `most` records whose turn it is, from turn 1 on: by id, and from the start again at the end."""
    ordered = sorted(records, key=lambda record: record["id"])
    start = (turn - 1) * most
    return [ordered[(start + i) % len(ordered)] for i in range(min(most, len(ordered)))]


def sampled(
    records: list[Record], settings: dict[str, Any], judged: list[str], complete: Complete
) -> list[list[Answer]]:
    """Return the answers to every record: one, greedily, or `samples` at the temperature of its domain.

    Ten greedy answers would be ten times the same one. Domains that are `judged` answer once, greedily.
    """
    answers: list[list[Answer]] = [[] for _ in records]
    temperatures = {name: one for name, one in settings["temperatures"].items() if name not in judged}
    for temperature in sorted({0.0, *temperatures.values()}):
        chosen = [i for i, r in enumerate(records) if temperatures.get(r["metadata"]["domain"], 0.0) == temperature]
        samples = settings["samples"] if temperature else 1
        found = complete([records[i]["instruction"] for i in chosen], temperature, samples)
        for i, several in zip(chosen, found, strict=True):
            answers[i] = several
    return answers


def solutions(record: Record, answers: list[Answer], settings: dict[str, Any]) -> list[str]:
    """Return what a record may be rehearsed with: the answer that most samples agree on, if it is right.

    In a domain of `diverse`, where no answer is the right one, up to as many as it says, unlike each other.
    """
    ended = [answer.text for answer in answers if answer.stopped]
    domain, checker = record["metadata"]["domain"], record["metadata"]["checker"]
    if domain in settings["diverse"]:
        return diverse(ended, settings["diverse"][domain], settings["likeness"])
    agreed = consistent(ended, CHECKERS[checker], settings["majority"] * len(answers))
    return [agreed] if agreed is not None and CHECKERS[checker](agreed, record["response"]) else []


def sort_out(
    records: list[Record], answers: list[list[Answer]], settings: dict[str, Any], model: str
) -> tuple[list[Record], list[Record]]:
    """Return (failures, consistent solutions) of the answers that each record got; a few are neither.

    A record fails if most of its answers are wrong.
    """
    failed, steady = [], []
    for record, several in zip(records, answers, strict=True):
        item = item_of(record)
        kept = solutions(record, several, settings)
        wrong = [a for a, row in zip(several, judged([item] * len(several), several), strict=True) if not row["right"]]
        steady += [{**record, "response": text} for text in kept]
        if not kept and 2 * len(wrong) > len(several):
            failed.append(failure(record, kind_of(item, wrong[0]), wrong[0].text, model))
    return failed, steady


def counts(failed: list[Record], steady: list[Record], checkable: list[bool]) -> dict[str, Any]:
    """Return how many failed, in what way and where, were solved, and are left to the judge."""
    return {
        "failed": len(failed),
        "failed_by_kind": dict(sorted(Counter(row["failure"]["kind"] for row in failed).items())),
        "failed_by_domain": dict(sorted(Counter(row["metadata"]["domain"] for row in failed).items())),
        "consistent": len(steady),
        "left_to_the_judge": checkable.count(False),
    }


def ask(
    base: Path,
    adapter: Path,
    train: Path,
    earlier: list[Path],
    failures: Path,
    solved: Path,
    open_answers: Path,
    report: Path,
    *,
    turn: str,
    difficulties: list[str],
    most_asked: int,
    consistency: dict[str, Any],
    judged: list[str],
    batch: int,
    longest: int,
    seed: int,
    threads: int,
) -> None:
    """Write failures and consistent solutions of a base with the adapter of the round before round `turn`.

    It is asked the `most_asked` records of `train` whose turn it is. Those of the domains `judged`, which have no only
    right answer, are left to the judge, with what it answered. `earlier` is [] or the report of the round before: after
    one that did not help, nothing is asked.
    """
    import torch

    if earlier and not read_json(earlier[0])["kept"]:
        for path in (failures, solved, open_answers):
            write_records(path, [])
        write_json(report, {"asked": 0, "stopped": "the round before did not help"})
        return
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    checkpoint = Checkpoint([base, adapter], batch)
    records = records_of(of_difficulty(read_records(train), difficulties), most_asked, int(turn))

    def complete(instructions: list[str], temperature: float, count: int) -> list[list[Answer]]:
        prompts = [chat.prompt_text(checkpoint.tokenizer, text) for text in instructions for _ in range(count)]
        answers = checkpoint.complete(prompts, longest, temperature)
        return [answers[i : i + count] for i in range(0, len(answers), count)]

    answers = sampled(records, consistency, judged, complete)
    # What has no end cannot be judged: it fails as it is.
    checkable = [
        record["metadata"]["domain"] not in judged or not several[0].stopped
        for record, several in zip(records, answers, strict=True)
    ]
    failed, steady = sort_out(
        list(itertools.compress(records, checkable)),
        list(itertools.compress(answers, checkable)),
        consistency,
        f"round {int(turn) - 1}",
    )
    write_records(failures, failed)
    write_records(solved, steady)
    pairs = zip(records, answers, checkable, strict=True)
    write_records(open_answers, ({**r, "answered": several[0].text} for r, several, exact in pairs if not exact))
    write_json(report, {"asked": len(records), "answers": sum(map(len, answers)), **counts(failed, steady, checkable)})
