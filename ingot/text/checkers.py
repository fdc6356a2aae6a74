"""Exact checkers: does an answer say what the reference says? No code is run."""

import ast
import json
import re
from collections.abc import Callable


def same_text(answer: str, reference: str) -> bool:
    """Compare up to white space."""
    return answer.split() == reference.split()


def only_number(text: str) -> float | None:
    """Return the number in a text, or None where there is none or more than one; '7.0' is 7."""
    found = re.findall(r"-?\d+(?:\.\d+)?", text.replace(",", ""))
    return float(found[0]) if len(found) == 1 else None


def same_number(answer: str, reference: str) -> bool:
    """Compare the only numbers of two texts; '7 or 8' is no answer."""
    number = only_number(answer)
    return number is not None and number == only_number(reference)


def same_json(answer: str, reference: str) -> bool:
    """Compare JSON values, whatever the order of keys and the white space."""
    try:
        return bool(json.loads(answer) == json.loads(reference))
    except (ValueError, RecursionError):
        return False


def same_python(answer: str, reference: str) -> bool:
    """Compare Python programs by their syntax trees, which layout and comments do not change."""
    try:
        return ast.dump(ast.parse(answer)) == ast.dump(ast.parse(reference))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def is_readable(checker: str, answer: str) -> bool:
    """Tell whether an answer can be read as what the checker compares; one that equals itself can."""
    return CHECKERS[checker](answer, answer) if checker != "text" else bool(answer)


CHECKERS: dict[str, Callable[[str, str], bool]] = {
    "text": same_text,
    "number": same_number,
    "json": same_json,
    "python": same_python,
}


def is_right(checker: str, answer: str, reference: str) -> bool:
    """Tell whether `answer` is right; an unknown checker raises KeyError."""
    return CHECKERS[checker](answer, reference)
