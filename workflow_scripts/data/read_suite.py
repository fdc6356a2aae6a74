"""Read the items of a suite: what models are asked and shown, and what must not be trained on because of it."""

import itertools
from pathlib import Path

from ingot.errors import InputError
from ingot.io.formats import by_id, objects
from ingot.io.records import Record, write_json, write_records
from ingot.measuring.suites import load_task, rendered
from ingot.settings.data import Read
from ingot.settings.measure import Suite
from ingot.text.chat import template_token_in
from ingot.text.forms import record_id


def joined(data: Path, answers: list[Path], settings: Read) -> list[Record]:
    """Read the items of a file; each gets the fields of the object with the same `id` in the files of answers."""
    items = list(objects(data, settings))
    accepted = by_id(answers, settings)
    if not accepted:
        return items
    missing = [str(item.get("id")) for item in items if str(item.get("id")) not in accepted or "id" not in item]
    if missing:
        raise InputError(f"{data}: {len(missing)} items have no answer in {answers[0]}, the first is {missing[0]}")
    return [accepted[str(item["id"])] | item for item in items]


def as_question(item: Record, about: Record, suite: str, path: Path) -> Record:
    """Give an item the fields of a benchmark item, by which training data is cleaned; `item` is the item itself."""
    question, answer = (rendered(about[template], item, path) for template in ("question", "answer"))
    if not question.strip():
        raise InputError(f"{path}: an item has no question; is it the right file for the suite {suite}?")
    if token := template_token_in(question):
        raise InputError(
            f"{path}: an item holds {token!r}, which a tokenizer reads as a mark of a turn, and not as text: remove the"
            f" token or the item. It begins: {question[:80]!r}"
        )
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
    settings: Read,
    suite: Suite,
) -> None:
    """Write the items of a suite; if it has more than `most`, those that come first by their hash, so at random.

    Before them come the first items of the file of examples, as many as `shots`, marked as `example`: they are shown
    before every question, and never asked.
    """
    about = load_task(task)["metadata"]
    if examples and "no_examples" in about:
        raise InputError(f"ask_suite.suites: {suite.name}: `examples` cannot be shown: {about['no_examples']}")
    shown = [
        as_question(item, about, suite.name, path) | {"example": True}
        for path in examples
        for item in itertools.islice(objects(path, settings), suite.shots)
    ]
    if examples and len(shown) < suite.shots:
        raise InputError(f"{examples[0]}: {len(shown)} examples, fewer than the {suite.shots} of `shots`")
    shown_items = [question["item"] for question in shown]
    all_questions = [as_question(item, about, suite.name, data) for item in joined(data, answers, settings)]
    to_ask = [question for question in all_questions if question["item"] not in shown_items]
    if not to_ask:
        raise InputError(f"{data}: there is nothing to ask; {len(all_questions)} items, all of them shown as examples")
    asked = sorted(to_ask, key=lambda question: str(question["id"]))[: suite.most]
    write_records(questions, [*shown, *asked])
    counts = {"items": len(all_questions), "shown": len(shown), "asked": len(asked)}
    write_json(report, {"suite": suite.name, "task": task.stem, **counts})
