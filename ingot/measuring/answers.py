"""Questions, answers, and which of them are right."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from ingot.inference.answer import Answer
from ingot.io.records import Record
from ingot.measuring.significance import proportion
from ingot.text.checkers import is_right


@dataclass(frozen=True)
class Item:
    """A question that a model is asked."""

    instruction: str
    response: str
    domain: str
    difficulty: str
    checker: str


def item_of(record: Record) -> Item:
    """Return the question in a record of the data stage or a benchmark item."""
    labels = record["metadata"]
    return Item(record["instruction"], record["response"], labels["domain"], labels["difficulty"], labels["checker"])


def judged(items: list[Item], answers: list[Answer]) -> list[Record]:
    """Return one record per question: what was asked, answered and expected, and whether it is right."""
    return [
        {**vars(item), "answer": a.text, "stopped": a.stopped, "right": is_right(item.checker, a.text, item.response)}
        for item, a in zip(items, answers, strict=True)
    ]


def exact_match(rows: list[Record]) -> dict[str, Any]:
    """Return the share of right answers over all, per domain, and, where rows say it, per domain and difficulty."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        finer = {f"{row['domain']}/{row['difficulty']}"} if "difficulty" in row else set()
        for name in {"all", row["domain"]} | finer:  # a domain may be called "all"
            groups[name].append(row["right"])
    return {name: proportion(sum(marks), len(marks)) for name, marks in sorted(groups.items())}


def domain_shares(rows: list[Record]) -> dict[str, float]:
    """Return the share of right answers of every domain."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        groups[row["domain"]].append(row["right"])
    return {domain: sum(marks) / len(marks) for domain, marks in sorted(groups.items())}
