"""The shapes that question and answer come in, and how a row of any shape becomes a record."""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ingot.curation.options import NoOptionError, ask_for_letter, shown
from ingot.io.formats import Row, cell_text
from ingot.io.records import Record
from ingot.settings.data import Fields, Shape
from ingot.text.calls import call_prompt, first_accepted
from ingot.text.checkers import NAMES, implied, is_readable
from ingot.text.forms import record_id

# Shapes by their usual names: the field of the question, of what goes before or after it (if any), and of the answer.
SHAPES = {
    "alpaca": Fields(instruction="instruction", input="input", response="output"),
    "dolly": Fields(instruction="instruction", input="context", response="response"),
    "openorca": Fields(system="system_prompt", instruction="question", response="response"),
    "question_answer": Fields(instruction="question", response="answer"),
    "prompt_completion": Fields(instruction="prompt", response="completion"),
    "instruction_response": Fields(instruction="instruction", response="response"),
    "prompt_response": Fields(instruction="prompt", response="response"),
    "question_response": Fields(instruction="question", response="response"),
    "input_target": Fields(instruction="input", response="target"),
    "human_eval": Fields(instruction="prompt", response="canonical_solution"),
}
NAMES_OF_FIELDS = {
    name: frozenset(fields.model_dump(exclude_none=True, exclude_defaults=True).values())
    for name, fields in SHAPES.items()
}
DIFFICULTIES = ("easy", "medium", "hard")
LONGEST_SEEN = 200
KINDS = {list: "list", dict: "mapping", bool: "yes or no", bytes: "binary value", float: "number that is not finite"}
ROLES = {"human": "user", "gpt": "assistant"}


@dataclass(frozen=True)
class Labels:
    """What the metadata of records say where the records themselves say nothing."""

    source: str
    domain: str
    difficulty: str
    licence: str | None
    checker: str | None = None


def find_turns(turns: Any) -> tuple[Any, Any] | None:
    """Find the first question and its answer in a list of messages, with the names of OpenAI or of ShareGPT."""
    if not isinstance(turns, list):
        return None
    messages = []
    for turn in turns:
        if not isinstance(turn, dict):
            return None
        role = turn.get("role", turn.get("from"))
        messages.append((ROLES.get(str(role), role), turn.get("content", turn.get("value"))))
    for (role, content), (next_role, answer) in itertools.pairwise(messages):
        if (role, next_role) == ("user", "assistant"):
            return content, answer
    return None


def find_instance(row: Record) -> tuple[Any, Any] | None:
    """Find question and answer in a seed task of Self-Instruct: its instruction, and the first of its instances."""
    instances = row.get("instances")
    if not (isinstance(instances, list) and instances and isinstance(instances[0], dict)):
        return None
    first = instances[0]
    return joined(row.get("instruction"), first.get("input")), first.get("output")


def find_call(row: Record) -> tuple[Any, Any] | None:
    """Find question and answer in a task of the Berkeley leaderboard that takes one call: a call that is accepted."""
    asked, functions = row.get("question"), row.get("function")
    answer = first_accepted(row.get("ground_truth") or [])
    while isinstance(asked, list) and len(asked) == 1:  # one conversation of one turn
        asked = asked[0]
    if not isinstance(asked, dict) or answer is None:
        return None
    try:
        return call_prompt(functions, asked.get("content")), answer
    except RecursionError:
        return None


def joined(*pieces: Any) -> Any:
    """Join the pieces of a question to one text. If one of them is no text, return that one, so that it is refused."""
    given = [cell_text(piece) for piece in pieces if piece is not None]
    wrong = next((piece for piece in given if not isinstance(piece, str)), None)
    return "\n\n".join(filter(None, given)) if wrong is None and given else wrong


def take(row: Record, fields: Fields) -> tuple[Any, Any] | None:
    """Take question and answer by the names of their fields; None if one of these fields is not there.

    Raises NoOptionError if the question has options, and the answer is none of them.
    """
    if fields.instruction not in row or fields.response not in row:
        return None
    before, after = (row.get(name) if name is not None else None for name in (fields.system, fields.input))
    question = joined(before, row[fields.instruction], after)
    if fields.choices is None or not isinstance(question, str):
        return question, cell_text(row[fields.response])
    return ask_for_letter(question, row, fields)


Finder = Callable[[Record], tuple[Any, Any] | None]
FINDERS: dict[str, tuple[set[str], Finder]] = {
    "messages": ({"messages"}, lambda row: find_turns(row.get("messages"))),
    "sharegpt": ({"conversations"}, lambda row: find_turns(row.get("conversations"))),
    "self_instruct": ({"instances"}, find_instance),
    "function_calls": ({"question", "function", "ground_truth"}, find_call),
}
"""Shapes whose question and answer are no fields of their own: by which fields each is known, and what finds them."""


def find_pair(row: Record, shape: Shape | None) -> tuple[Any, Any] | None:
    """Find question and answer in a row of a shape, or of any known shape if none is named; None if there are none."""
    if isinstance(shape, Fields):
        return take(row, shape)
    for name, (marks, find) in FINDERS.items():
        if shape == name or (shape is None and marks <= row.keys()):
            return find(row)
    if shape is not None:
        return take(row, SHAPES[shape])
    # The shape that uses most of the fields: a row of OpenOrca also has the fields of a plain question and answer.
    fitting = (name for name, fields in NAMES_OF_FIELDS.items() if fields <= row.keys())
    best = max(fitting, key=lambda name: len(NAMES_OF_FIELDS[name]), default=None)
    if best is not None:
        return take(row, SHAPES[best])
    return next(filter(None, (take(row, fields) for fields in SHAPES.values())), None)


LONE_SURROGATE = re.compile("[\ud800-\udfff]")
LARGEST_SCORE = 1e9
NO_NAME = re.compile("[^a-z0-9]+")


def name_of(domain: Any) -> Any:
    """Make a name of what a row calls its domain, such as computer_science. What is no text is returned as it is."""
    return NO_NAME.sub("_", domain.casefold()).strip("_") if isinstance(domain, str) else domain


def describe(row: Record, labels: Labels) -> Record:
    """Make the metadata of a row, with labels where it says nothing."""
    given = {key: value for key, value in row.items() if value is not None}
    return {
        "domain": name_of(given["domain"]) if "domain" in given else labels.domain,
        "difficulty": given.get("difficulty", labels.difficulty),
        "teacher": given.get("teacher"),
        "quality_score": given.get("quality_score"),
        "tokens": None,  # counted by `filter`, which knows the tokenizer
        "source": labels.source,
        "licence": labels.licence,
        "checker": given.get("checker", labels.checker),
    }


def nonsense(metadata: Record) -> str:
    """Name the first of the metadata that cannot be what it says; "" if all can."""
    domain, teacher, score = metadata["domain"], metadata["teacher"], metadata["quality_score"]
    is_number = isinstance(score, (int, float)) and not isinstance(score, bool) and abs(score) < LARGEST_SCORE
    sound = {
        "domain": isinstance(domain, str) and domain[:1].isalpha(),
        "teacher": teacher is None or (isinstance(teacher, str) and not LONE_SURROGATE.search(teacher)),
        "difficulty": metadata["difficulty"] in DIFFICULTIES,
        "checker": metadata["checker"] in (None, *NAMES),
        "quality_score": score is None or is_number,
    }
    return next((name for name, fits in sound.items() if not fits), "")


def fault(instruction: Any, response: Any, metadata: Record) -> str:
    """Say why question, answer and metadata cannot make a record; "" if they can."""
    if not isinstance(instruction, str) or not isinstance(response, str):
        return "not_text"
    if not instruction.strip() or not response.strip():
        return "empty_text"
    if not (instruction + response).isascii() and LONE_SURROGATE.search(instruction + response):
        return "lone_surrogate"
    if nonsense(metadata):
        return "bad_metadata"
    if metadata["checker"] and not is_readable(metadata["checker"], response):
        return "answer_does_not_fit_checker"
    return ""


def standardise(value: Any, labels: Labels, shape: Shape | None) -> tuple[Record | None, str]:
    """Make a record of the value of a row: return (record, ""), or (None, reason)."""
    if not isinstance(value, dict):
        return None, "not_an_object"
    try:
        pair = find_pair(value, shape)
    except NoOptionError:
        return None, "answer_is_no_option"
    if pair is None:
        return None, "missing_fields"
    instruction, response = pair
    metadata = describe(value, labels)
    if reason := fault(instruction, response, metadata):
        return None, reason
    if "ground_truth" in value and pair == find_call(value):
        metadata |= {"checker": "call", "accepted": value["ground_truth"]}
    metadata["checker"] = metadata["checker"] or implied(instruction, response)
    identity = record_id(instruction, response)
    return {"id": identity, "instruction": instruction, "response": response, "metadata": metadata}, ""


def seen(row: Row, reason: str, shape: Shape | None, labels: Labels) -> str:
    """Say what about a row that is no record a person can mend: its fields or columns, or the kind of a value.

    Nothing of the row itself is shown: half of a secret is not recognised as one.
    """
    if not isinstance(row.value, dict):
        return row.excerpt.decode() if reason in ("invalid_csv", "wrong_number_of_columns") else ""
    if reason == "missing_fields":
        wanted = (shape.instruction, shape.response) if isinstance(shape, Fields) else ()
        lacking = ", ".join(name for name in wanted if name not in row.value)
        there = ", ".join(map(str, row.value))[:LONGEST_SEEN] or "no fields"
        return f"no {lacking}; there are {there}" if lacking else f"there are {there}"
    if reason == "not_text":
        kinds = [f"{name} is a {KINDS.get(type(value), 'value')}" for name, value in row.value.items()
                 if not isinstance(cell_text(value), str | None)]  # fmt: skip
        return ", ".join(kinds)[:LONGEST_SEEN]
    if reason == "answer_is_no_option":
        try:
            find_pair(row.value, shape)
        except NoOptionError as error:
            return str(error)[:LONGEST_SEEN]
    if reason in ("bad_metadata", "answer_does_not_fit_checker"):
        metadata = describe(row.value, labels)
        name = nonsense(metadata) or "checker"
        return f"{name} is {shown(metadata[name])}"
    return ""


def record_of(row: Row, labels: Labels, shape: Shape | None) -> tuple[Record | None, str]:
    """Make a record of a row of a source: return (record, ""), or (None, reason)."""
    return (None, row.reason) if row.reason else standardise(row.value, labels, shape)
