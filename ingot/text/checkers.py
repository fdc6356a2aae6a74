"""Check whether an answer says exactly what the reference says. No code is run."""

import ast
import json
import re
from collections.abc import Callable


def same_text(answer: str, reference: str) -> bool:
    """Compare two texts. White space does not count."""
    return answer.split() == reference.split()


def only_number(text: str) -> float | None:
    """Read the number in a text. None if the text has no number, or several."""
    numbers = re.findall(r"-?\d+(?:\.\d+)?", text.replace(",", ""))
    return float(numbers[0]) if len(numbers) == 1 else None


def same_number(answer: str, reference: str) -> bool:
    """Compare the only numbers of two texts. '7.0' equals '7', and '7 or 8' is never right."""
    number = only_number(answer)
    return number is not None and number == only_number(reference)


def same_json(answer: str, reference: str) -> bool:
    """Compare JSON values. The order of keys and white space do not count."""
    try:
        return bool(json.loads(answer) == json.loads(reference))
    except (ValueError, RecursionError):
        return False


def same_python(answer: str, reference: str) -> bool:
    """Compare Python programs by their syntax trees. Layout and comments do not count."""
    try:
        return ast.dump(ast.parse(answer)) == ast.dump(ast.parse(reference))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def is_readable(checker: str, answer: str) -> bool:
    """Tell whether an answer is something that the checker can read, such as valid JSON."""
    # An answer that cannot be read does not even equal itself.
    return CHECKERS[checker](answer, answer) if checker != "text" else bool(answer)


CHECKERS: dict[str, Callable[[str, str], bool]] = {
    "text": same_text,
    "number": same_number,
    "json": same_json,
    "python": same_python,
}


def is_right(checker: str, answer: str, reference: str) -> bool:
    """Tell whether `answer` is right, by the checker of that name. Raises KeyError for an unknown checker."""
    return CHECKERS[checker](answer, reference)
