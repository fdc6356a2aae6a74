"""Teach what was failed: tiers of teachers, cheapest first; where an answer is wrong, the next tier is asked."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.inference.chat_client import ChatClient
from ingot.io.records import Record, read_records, write_json, write_records
from ingot.measuring.failures import with_rehearsal
from ingot.settings.modifiers import LocalTeacher, PaidTeacher, Teach
from ingot.text import chat
from ingot.text.checkers import is_right

Teacher = Callable[[list[Record]], tuple[list[list[str]], dict[str, Any]]]
"""Returns the answers to each record, best first, and what they cost."""


def chosen(failures: list[Record], most: int | None) -> list[Record]:
    """Return at most `most` failures, taken from the clusters in turn, so that a rare pattern is not drowned."""
    clusters: dict[int, list[Record]] = {}
    for record in failures:
        clusters.setdefault(record["cluster"], []).append(record)
    turns = itertools.zip_longest(*clusters.values())
    return [record for turn in turns for record in turn if record is not None][:most]


def references() -> Teacher:
    """Return the teacher who knows the answers that the records came with: in the tiny world, of its exact solver."""
    return lambda records: ([[record["response"]] for record in records], {"answers": len(records)})


def endpoint(tier: PaidTeacher, remembered: Path) -> Teacher:
    """Return a teacher behind an endpoint with OpenAI's interface."""

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
        found = list(client.ask_each(requests, lambda text: text.strip() or None, "answers"))
        return [[text] if text else [] for text in found], client.figures()

    return answer


def checkpoint(tier: LocalTeacher, batch: int, longest: int, seed: int, threads: int) -> Teacher:
    """Return a local model that answers several times, at a temperature."""

    def answer(records: list[Record]) -> tuple[list[list[str]], dict[str, Any]]:
        import torch

        from ingot.inference.checkpoint import Checkpoint

        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        model = Checkpoint([Path(tier.checkpoint)], batch)
        prompts = [chat.prompt_text(model.tokenizer, record["instruction"]) for record in records]
        repeated = [prompt for prompt in prompts for _ in range(tier.samples)]
        answers = iter(model.complete(repeated, longest, tier.temperature))
        several = [list(itertools.islice(answers, tier.samples)) for _ in records]
        return [[a.text for a in found if a.stopped] for found in several], {"answers": len(repeated)}

    return answer


def first_right(record: Record, answers: list[str]) -> str | None:
    """Return the first answer that is right, or None."""
    checker, reference = record["metadata"]["checker"], record["response"]
    return next((text for text in answers if is_right(checker, text, reference)), None)


def cascade(
    wanted: list[Record], tiers: list[tuple[str, float, Teacher]]
) -> tuple[list[Record], list[dict[str, Any]], list[Record]]:
    """Return (taught records, one line of the report per tier, what no tier could teach).

    A tier is (name, share, teacher): it is asked what those before it left, but at most the share of all.
    """
    taught: list[Record] = []
    lines = []
    left = wanted
    for name, share, teacher in tiers:
        most = round(share * len(wanted))
        asked, beyond = left[:most], left[most:]
        answers, cost = teacher(asked) if asked else ([], {})
        found = [first_right(record, several) for record, several in zip(asked, answers, strict=True)]
        right = [
            {**record, "response": text, "taught_by": name}
            for record, text in zip(asked, found, strict=True)
            if text is not None
        ]
        taught += right
        left = [record for record, text in zip(asked, found, strict=True) if text is None] + beyond
        lines.append({"tier": name, "asked": len(asked), "right": len(right), "cost": cost})
    return taught, lines, left


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
    longest: int,
    remembered: str,
    seed: int,
    threads: int,
) -> None:
    """Write what a modifier learns: right answers to failures, and some solved records per taught failure.

    `models` are the folders of the tiers that are local models. Raises InputError where no tier knows a right answer.
    """
    teachers = []
    for tier in settings.tiers:
        if isinstance(tier, PaidTeacher):
            teacher = endpoint(tier, Path(remembered))
        elif isinstance(tier, LocalTeacher):
            teacher = checkpoint(tier, batch, longest, seed, threads)
        else:
            teacher = references()
        teachers.append((tier.name, tier.share, teacher))
    wanted = chosen(list(read_records(clustered)), settings.most)
    learned, lines, untaught = cascade(wanted, teachers)
    if not learned:
        raise InputError(f"no teacher has a right answer to any of the {len(wanted)} failures in {domain}; add a tier")
    lesson = with_rehearsal(learned, list(read_records(solved)), settings.rehearsal, seed)
    write_records(taught, lesson)
    write_json(
        report,
        {
            "domain": domain,
            "failures": len(wanted),
            "tiers": lines,
            "untaught": len(untaught),
            "rehearsed": len(lesson) - len(learned),
        },
    )
