"""Read the sources, whatever their shape, into records of one shape; what cannot be read is listed, never lost."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lib.accounting import close_books, rejection
from lib.checkers import CHECKERS
from lib.progress import progress
from lib.records import Record
from lib.streams import lines
from lib.text import record_id

# Shapes that people have: the field of the question, the field of further input (or none), the field of the answer.
SHAPES = (
    ("instruction", "input", "output"),
    ("instruction", "context", "response"),
    ("question", None, "answer"),
    ("question", None, "response"),
    ("prompt", None, "completion"),
    ("prompt", None, "response"),
    ("instruction", None, "response"),
)
DIFFICULTIES = ("easy", "medium", "hard")
NUMBER = re.compile(r"-?[\d,]+(?:\.\d+)?")
ROLES = {"human": "user", "gpt": "assistant"}
EXCERPT = 200  # characters of a rejected line that are kept as evidence


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


def find_pair(source: Record) -> tuple[Any, Any] | None:
    """Return question and answer of a source record of any known shape, or None."""
    for key in ("messages", "conversations"):
        if key in source:
            return find_turns(source[key])
    for question, extra, answer in SHAPES:
        if question in source and answer in source:
            asked = source[question]
            if extra and isinstance(asked, str) and isinstance(source.get(extra), str) and source[extra]:
                asked = f"{asked}\n\n{source[extra]}"
            return asked, source[answer]
    return None


def describe(source: Record, name: str, defaults: Record) -> Record | None:
    """Return the metadata of a source record, with defaults where it says nothing, or None if it says nonsense."""
    given = {key: value for key, value in source.items() if value is not None}
    found = {
        "domain": given.get("domain", defaults["domain"]),
        "difficulty": given.get("difficulty", "medium"),
        "teacher": given.get("teacher"),
        "quality_score": given.get("quality_score"),
        "tokens": None,  # counted by `filter`, which knows the tokenizer
        "source": name,
        "checker": given.get("checker", "text"),
    }
    score = found["quality_score"]
    sound = (
        isinstance(found["domain"], str)
        and found["difficulty"] in DIFFICULTIES
        and found["checker"] in tuple(CHECKERS)
        and (score is None or (isinstance(score, (int, float)) and not isinstance(score, bool)))
    )
    return found if sound else None


def fault(instruction: Any, response: Any, metadata: Record | None) -> str:
    """Return why question, answer and metadata cannot make a record, or "" if they can."""
    if not isinstance(instruction, str) or not isinstance(response, str):
        return "not_text"
    if not instruction.strip() or not response.strip():
        return "empty_text"
    if any("\ud800" <= c <= "\udfff" for c in instruction + response):
        return "lone_surrogate"
    if metadata is None:
        return "bad_metadata"
    if metadata["checker"] == "number" and not NUMBER.fullmatch(response.strip()):
        return "answer_is_no_number"
    return ""


def standardise(source: Any, name: str, defaults: Record) -> tuple[Record | None, str]:
    """Return (record, "") for a source record, or (None, reason)."""
    if not isinstance(source, dict):
        return None, "not_an_object"
    pair = find_pair(source)
    if pair is None:
        return None, "missing_fields"
    instruction, response = pair
    metadata = describe(source, name, defaults)
    if reason := fault(instruction, response, metadata):
        return None, reason
    identity = record_id(instruction, response)
    return {"id": identity, "instruction": instruction, "response": response, "metadata": metadata}, ""


def parse(line: bytes | None) -> tuple[Any, str]:
    """Return (value, "") for a source line, or (None, reason)."""
    if line is None:
        return None, "line_too_long"
    if b"\x00" in line:
        return None, "nul_byte"
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None, "invalid_utf8"
    try:
        return json.loads(text), ""
    except (ValueError, RecursionError):
        return None, "invalid_json"


def read_source(path: Path, defaults: Record, limit: int) -> Iterator[tuple[Record | None, Record]]:
    """Yield (record, {}) or (None, rejection) for every line of a source that is not blank."""
    for number, line in progress(lines(path, limit), path.name, "line"):
        if line is not None and not line.strip():
            continue
        value, reason = parse(line)
        record = None
        if not reason:
            record, reason = standardise(value, path.name, defaults)
        if record:
            yield record, {}
        else:
            excerpt = (line or b"")[:EXCERPT].decode("utf-8", "backslashreplace")
            yield None, rejection({"file": str(path), "line": number}, reason, excerpt)


def read(
    sources: list[Path],
    records: Path,
    rejected: Path,
    report: Path,
    *,
    defaults: list[Record],
    max_line_bytes: int,
) -> None:
    """Write the records of all `sources` in order; `defaults` gives, per source, the metadata that it lacks."""
    kept: list[Record] = []
    refused: list[Record] = []
    per_source = {}
    for path, default in zip(sources, defaults, strict=True):
        before = len(kept), len(refused)
        for record, refusal in read_source(path, default, max_line_bytes):
            if record:
                kept.append(record)
            else:
                refused.append(refusal)
        per_source[path.name] = {"kept": len(kept) - before[0], "rejected": len(refused) - before[1]}
    close_books(len(kept) + len(refused), kept, refused, (records, rejected, report), sources=per_source)
