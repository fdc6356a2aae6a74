"""Questions with options: the options are written out with letters, and the answer is the letter of one of them."""

import string
from typing import Any

from ingot.io.records import Record
from ingot.settings.data import Fields
from ingot.text.checkers import letter_in

LETTERS = string.ascii_uppercase


class NoOptionError(ValueError):
    """An answer is none of the options of its question, or there are no options."""


def texts_of(row: Record, choices: str | list[str]) -> tuple[list[str], list[str]]:
    """Return the options of a row and how it labels them, in order. Empty ones at the end do not count.

    Options are in fields of their own, in a list, or in a mapping of the lists `text` and `label`, as ARC has them.
    """
    found: Any = row.get(choices) if isinstance(choices, str) else [row.get(name) for name in choices]
    labels: Any = []
    if isinstance(found, dict):
        found, labels = found.get("text"), found.get("label", [])
    if not isinstance(found, list) or not isinstance(labels, list):
        raise NoOptionError("there is no list of options")
    texts = ["" if text is None else str(text).strip() for text in found]
    while texts and not texts[-1]:
        texts.pop()
    if not 2 <= len(texts) <= len(LETTERS) or not all(texts):
        raise NoOptionError(f"there are {sum(map(bool, texts))} options")
    return texts, [str(label).strip() for label in labels]


def place_of(answer: Any, texts: list[str], labels: list[str], first: int) -> int:
    """Find which option an answer means: by its label, its text, its letter, or its number, counted from `first`.

    A number that is no text is always a place: an answer 2 is not the option "2". Raises NoOptionError.
    """
    if isinstance(answer, float) and answer.is_integer():  # as tables hold whole numbers where some are missing
        answer = int(answer)
    text = str(answer).strip()
    is_number = isinstance(answer, int) and not isinstance(answer, bool)
    place = -1
    if text in labels:
        place = labels.index(text)
    elif not is_number and texts.count(text) == 1:
        place = texts.index(text)
    elif text.isdecimal():
        place = int(text) - first
    elif isinstance(answer, str) and (letter := letter_in(text)):
        place = LETTERS.index(letter)
    if not 0 <= place < len(texts):
        raise NoOptionError(f"the answer {text[:40]!r} is none of {len(texts)} options, counted from {first}")
    return place


def ask_for_letter(question: str, row: Record, fields: Fields) -> tuple[str, str]:
    """Write the options of a row under its question, and its answer as "(B)". Raises NoOptionError."""
    assert fields.choices is not None
    texts, labels = texts_of(row, fields.choices)
    place = place_of(row[fields.response], texts, labels, fields.first_choice)
    options = "\n".join(f"({letter}) {text}" for letter, text in zip(LETTERS, texts, strict=False))
    return f"{question}\n{options}", f"({LETTERS[place]})"
