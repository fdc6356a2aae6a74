"""Get right answers to failures from tiers of teachers, cheapest first. Where one is wrong, the next tier is asked."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.inference.chat_client import ChatClient
from ingot.io.records import Record, read_records, write_json, write_records
from ingot.measuring.answers import limits_of
from ingot.measuring.failures import with_rehearsal
from ingot.settings.measure import Longest
from ingot.settings.modifiers import LocalTeacher, PaidTeacher, Teach
from ingot.text import chat
from ingot.text.checkers import is_right

Teacher = Callable[[list[Record]], tuple[list[list[str]], dict[str, Any]]]
"""Takes records, and returns the answers to each of them, best first, and what they cost."""


def chosen(failures: list[Record], most: int | None) -> list[Record]:
    """Choose at most `most` failures, taking one from each cluster in turn, so that rare patterns are not lost."""
    clusters: dict[int, list[Record]] = {}
    for record in failures:
        clusters.setdefault(record["cluster"], []).append(record)
    turns = itertools.zip_longest(*clusters.values())
    return [record for turn in turns for record in turn if record is not None][:most]


def references() -> Teacher:
    """Make the teacher that answers with the records' own references. In the tiny world, an exact solver wrote them."""
    return lambda records: ([[record["response"]] for record in records], {"answers": len(records)})


def endpoint(tier: PaidTeacher, remembered: Path) -> Teacher:
    """Make a teacher that is a model behind an endpoint with OpenAI's interface."""

    def answer(records: list[Record]) -> tuple[list[list[str]], dict[str, Any]]:
        client = ChatClient(tier, remembered, f"teacher {tier.name}")
        requests: list[dict[str, Any]] = [
            {
                "model": tier.model,
                "messages": [{"role": "user", "content": record["instruction"]}],
                "max_tokens": tier.longest,
            }
            for record in records
        ]
        texts = list(client.ask_each(requests, lambda text: text.strip() or None, "answers"))
        return [[text] if text else [] for text in texts], client.figures()

    return answer


def checkpoint(tier: LocalTeacher, batch: int, longest: Longest, work: Path, seed: int, threads: int) -> Teacher:
    """Make a teacher that is a local model. It answers several times, at the temperature of its tier."""

    def answer(records: list[Record]) -> tuple[list[list[str]], dict[str, Any]]:
        import torch

        from ingot.inference.checkpoint import Checkpoint

        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        model = Checkpoint([Path(tier.checkpoint)], batch, work)
        prompts = [chat.prompt_text(model.tokenizer, record["instruction"]) for record in records]
        repeated = [prompt for prompt in prompts for _ in range(tier.samples)]
        limits = [limit for limit in limits_of(model.tokenizer, records, longest) for _ in range(tier.samples)]
        answers = iter(model.complete(repeated, limits, tier.temperature))
        samples_of_records = [list(itertools.islice(answers, tier.samples)) for _ in records]
        texts = [[sample.text for sample in samples if sample.stopped] for samples in samples_of_records]
        return texts, {"answers": len(repeated)}

    return answer


def first_right(record: Record, answers: list[str]) -> str | None:
    """Find the first right answer to a record. None if no answer is right."""
    labels, reference = record["metadata"], record["response"]
    checker, accepted = labels["checker"], labels.get("accepted")
    return next((text for text in answers if is_right(checker, text, reference, accepted)), None)


def cascade(
    wanted: list[Record], tiers: list[tuple[str, float, Teacher]]
) -> tuple[list[Record], list[dict[str, Any]], list[Record]]:
    """Ask one tier after the other for right answers to the `wanted` records.

    A tier is (name, share, teacher). It is asked for the records that the tiers before it could not teach, but at most
    for this share of all records.

    Returns:
        The taught records, with the right answer; a line of the report for each tier; and the records that no tier
        could teach.
    """
    taught: list[Record] = []
    lines = []
    untaught = wanted
    for name, share, teacher in tiers:
        most = round(share * len(wanted))
        to_ask, beyond = untaught[:most], untaught[most:]
        answers, cost = teacher(to_ask) if to_ask else ([], {})
        right_answers = [first_right(record, texts) for record, texts in zip(to_ask, answers, strict=True)]
        taught_here = [
            {**record, "response": text, "taught_by": name}
            for record, text in zip(to_ask, right_answers, strict=True)
            if text is not None
        ]
        taught += taught_here
        untaught = [record for record, text in zip(to_ask, right_answers, strict=True) if text is None] + beyond
        lines.append({"tier": name, "asked": len(to_ask), "right": len(taught_here), "cost": cost})
    return taught, lines, untaught


def teach(
    clustered: Path,
    solved: Path,
    models: list[Path],
    taught: Path,
    report: Path,
    *,
    domain: str,
    settings: Teach,
    batch: int,
    longest: Longest,
    remembered: str,
    work: Path,
    seed: int,
    threads: int,
) -> None:
    """Write what a modifier will learn: right answers to failures, and solved records for rehearsal.

    `models` are the folders of the tiers that are local models. `remembered` is the folder where answers of endpoints
    are kept.

    Raises InputError if no tier has a right answer to any failure.
    """
    teachers = []
    for tier in settings.tiers:
        if isinstance(tier, PaidTeacher):
            teacher = endpoint(tier, Path(remembered))
        elif isinstance(tier, LocalTeacher):
            teacher = checkpoint(tier, batch, longest, work / tier.name, seed, threads)
        else:
            teacher = references()
        teachers.append((tier.name, tier.share, teacher))
    failures = chosen(list(read_records(clustered)), settings.most)
    learned, lines, untaught = cascade(failures, teachers)
    if not learned:
        raise InputError(
            f"no teacher has a right answer to any of the {len(failures)} failures in {domain}; add a tier"
        )
    lesson = with_rehearsal(learned, list(read_records(solved)), settings.rehearsal, seed)
    write_records(taught, lesson)
    write_json(
        report,
        {
            "domain": domain,
            "failures": len(failures),
            "tiers": lines,
            "untaught": len(untaught),
            "rehearsed": len(lesson) - len(learned),
        },
    )
