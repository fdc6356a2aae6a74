"""The shapes in which people keep questions and answers, and how a row of any of them becomes a record."""

import itertools
import math
import re
from collections.abc import Mapping
from typing import Any

from ingot.io.formats import Row
from ingot.io.records import Record
from ingot.text.checkers import CHECKERS
from ingot.text.forms import record_id

# Shapes that people have, by the name of who made them known: the field of the question, of what goes before or after
# it (or none), and of the answer.
SHAPES: dict[str, dict[str, str]] = {
    "alpaca": {"instruction": "instruction", "input": "input", "response": "output"},
    "dolly": {"instruction": "instruction", "input": "context", "response": "response"},
    "openorca": {"system": "system_prompt", "instruction": "question", "response": "response"},
    "question_answer": {"instruction": "question", "response": "answer"},
    "prompt_completion": {"instruction": "prompt", "response": "completion"},
    "instruction_response": {"instruction": "instruction", "response": "response"},
    "prompt_response": {"instruction": "prompt", "response": "response"},
    "question_response": {"instruction": "question", "response": "response"},
    "input_target": {"instruction": "input", "response": "target"},
    "human_eval": {"instruction": "prompt", "response": "canonical_solution"},
}
TURNS = {"messages": "messages", "sharegpt": "conversations"}
DIFFICULTIES = ("easy", "medium", "hard")
NUMBER = re.compile(r"-?[\d,]+(?:\.\d+)?")
ROLES = {"human": "user", "gpt": "assistant"}


def find_turns(turns: Any) -> tuple[str, str] | None:
    """Return the first question and its answer from a list of messages (OpenAI or ShareGPT names), or None."""
    if not isinstance(turns, list):
        return None
    plain = []
    for turn in turns:
        if not isinstance(turn, dict):
            return None
        role = turn.get("role", turn.get("from"))
        plain.append((ROLES.get(str(role), role), turn.get("content", turn.get("value"))))
    for (role, content), (next_role, answer) in itertools.pairwise(plain):
        if (role, next_role) == ("user", "assistant"):
            return content, answer
    return None


def find_instance(source: Record) -> tuple[Any, Any] | None:
    """Return question and answer of a seed task of Self-Instruct: an instruction and the first of its instances."""
    instances = source.get("instances")
    if not (isinstance(instances, list) and instances and isinstance(instances[0], dict)):
        return None
    first = instances[0]
    return joined(source.get("instruction"), first.get("input")), first.get("output")


def joined(*parts: Any) -> Any:
    """Return the parts of a question as one text; what is no text is returned, so that it can be refused."""
    given = [part for part in parts if part not in (None, "")]
    wrong = next((part for part in given if not isinstance(part, str)), None)
    return "\n\n".join(given) if wrong is None and given else wrong


def take(source: Record, fields: Mapping[str, str]) -> tuple[Any, Any] | None:
    """Return question and answer by the names of their fields, or None if one is not there."""
    if fields["instruction"] not in source or fields["response"] not in source:
        return None
    before, after = (source.get(fields[name]) if name in fields else None for name in ("system", "input"))
    return joined(before, source[fields["instruction"]], after), source[fields["response"]]


def find_pair(source: Record, shape: str | dict[str, str] | None) -> tuple[Any, Any] | None:
    """Return question and answer of a source record, or None; of any known shape, where `shape` is None."""
    if isinstance(shape, dict):
        return take(source, shape)
    for name, key in TURNS.items():
        if shape == name or (shape is None and key in source):
            return find_turns(source.get(key))
    if shape == "self_instruct" or (shape is None and "instances" in source):
        return find_instance(source)
    if shape is not None:
        return take(source, SHAPES[shape])
    # The shape that uses most of the fields: OpenOrca has those of a plain question and answer, too.
    fitting = (fields for fields in SHAPES.values() if set(fields.values()) <= source.keys())
    best = max(fitting, key=len, default=None)
    return take(source, best) if best else next(filter(None, (take(source, f) for f in SHAPES.values())), None)


def describe(source: Record, defaults: Record) -> Record | None:
    """Return the metadata of a source record, with defaults where it says nothing, or None if it says nonsense."""
    given = {key: value for key, value in source.items() if value is not None}
    found = {
        "domain": given.get("domain", defaults["domain"]),
        "difficulty": given.get("difficulty", defaults["difficulty"]),
        "teacher": given.get("teacher"),
        "quality_score": given.get("quality_score"),
        "tokens": None,  # counted by `filter`, which knows the tokenizer
        "source": defaults["source"],
        "licence": defaults["licence"],
        "checker": given.get("checker", "text"),
    }
    score = found["quality_score"]
    is_number = isinstance(score, (int, float)) and not isinstance(score, bool) and math.isfinite(score)
    sound = (
        isinstance(found["domain"], str)
        and found["difficulty"] in DIFFICULTIES
        and found["checker"] in tuple(CHECKERS)
        and (score is None or is_number)
    )
    return found if sound else None


def fault(instruction: Any, response: Any, metadata: Record | None) -> str:
    """Return why question, answer and metadata cannot make a record, or "" if they can."""
    if not isinstance(instruction, str) or not isinstance(response, str):
        return "not_text"
    if not instruction.strip() or not response.strip():
        return "empty_text"
    if not (instruction + response).isascii() and any("\ud800" <= c <= "\udfff" for c in instruction + response):
        return "lone_surrogate"
    if metadata is None:
        return "bad_metadata"
    if metadata["checker"] == "number" and not NUMBER.fullmatch(response.strip()):
        return "answer_is_no_number"
    return ""


def standardise(source: Any, defaults: Record, shape: str | dict[str, str] | None = None) -> tuple[Record | None, str]:
    """Return (record, "") for a source record, or (None, reason)."""
    if not isinstance(source, dict):
        return None, "not_an_object"
    pair = find_pair(source, shape)
    if pair is None:
        return None, "missing_fields"
    instruction, response = pair
    metadata = describe(source, defaults)
    if reason := fault(instruction, response, metadata):
        return None, reason
    identity = record_id(instruction, response)
    return {"id": identity, "instruction": instruction, "response": response, "metadata": metadata}, ""


def record_of(row: Row, defaults: Record, shape: str | dict[str, str] | None) -> tuple[Record | None, str]:
    """Return (record, "") for a row of a source, or (None, reason)."""
    return (None, row.reason) if row.reason else standardise(row.value, defaults, shape)
