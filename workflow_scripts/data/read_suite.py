"""Read the items of a suite: what a model is asked and shown, and what of it must not be trained on."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.formats import Limits, Shard, rows
from ingot.io.records import Record, write_json, write_records
from ingot.measuring.suites import load_task, rendered
from ingot.text.forms import record_id


def items_of(path: Path, limits: Limits) -> Iterator[Record]:
    """Yield the objects of a file; those in the list `examples`, where it has one object with such a list."""
    for row in rows(path, None, limits, Shard(0, 1)):
        if not isinstance(row.value, dict):
            raise InputError(f"{path}:{row.number}: {row.reason or 'not an object'}; a suite may not lose an item")
        examples = row.value.get("examples")
        yield from examples if isinstance(examples, list) else [row.value]


def joined(data: Path, answers: list[Path], limits: Limits) -> list[Record]:
    """Return the items of a file, each with the fields of the object with its `id` in the files of answers."""
    items = list(items_of(data, limits))
    known = {str(one.get("id")): one for path in answers for one in items_of(path, limits)}
    if not known:
        return items
    missing = [str(item.get("id")) for item in items if str(item.get("id")) not in known]
    if missing:
        raise InputError(f"{data}: {len(missing)} items have no answer in {answers[0]}, the first is {missing[0]}")
    return [known[str(item["id"])] | item for item in items]


def as_question(item: Record, about: Record, suite: str, path: Path) -> Record:
    """Return an item with the fields of a benchmark item, by which training data is cleaned, and itself as `item`."""
    question, answer = (rendered(about[part], item, path) for part in ("question", "answer"))
    if not question.strip():
        raise InputError(f"{path}: an item has no question; is it the right file for the suite {suite}?")
    labels = {"source": suite, "domain": suite, "difficulty": "medium", "checker": "text", "licence": None}
    return {
        "id": record_id(question, answer),
        "instruction": question,
        "response": answer,
        "metadata": labels,
        "item": item,
    }


def read_suite(
    data: Path,
    answers: list[Path],
    examples: list[Path],
    task: Path,
    questions: Path,
    report: Path,
    *,
    suite: str,
    shots: int,
    most: int | None,
    limits: dict[str, Any],
) -> None:
    """Write the items of a suite, at most `most` of them: the first by their hash, which is as good as at random.

    The first `shots` of the file of `examples` are written before them, marked as `example`: they are shown with every
    question, and never asked.
    """
    about = load_task(task)["metadata"]
    if examples and "no_examples" in about:
        raise InputError(f"evaluate.suites: {suite}: `examples` cannot be shown: {about['no_examples']}")
    bounds = Limits(limits["row_bytes"], limits["unpacking"])
    shown = [
        as_question(item, about, suite, path) | {"example": True}
        for path in examples
        for item in itertools.islice(items_of(path, bounds), shots)
    ]
    if examples and len(shown) < shots:
        raise InputError(f"{examples[0]}: {len(shown)} examples, fewer than the {shots} of `shots`")
    known = [one["item"] for one in shown]
    read = [as_question(item, about, suite, data) for item in joined(data, answers, bounds)]
    found = sorted((one for one in read if one["item"] not in known), key=lambda one: str(one["id"]))
    if not found:
        raise InputError(f"{data}: there is nothing to ask; {len(read)} items, all of them shown as examples")
    write_records(questions, [*shown, *found[:most]])
    counts = {"items": len(read), "shown": len(shown), "asked": len(found[:most])}
    write_json(report, {"suite": suite, "task": task.stem, **counts})
