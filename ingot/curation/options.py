"""Questions with options: the options are written out with letters, and the answer is the letter of one of them."""

import string
from typing import Any

from ingot.io.formats import cell_text
from ingot.io.records import Record
from ingot.settings.data import Fields
from ingot.text.checkers import letter_in

LETTERS = string.ascii_uppercase
LONGEST_SHOWN = 40
"""Characters of a value that an error shows. Of a longer one it shows nothing: a part of a secret is not recognised."""


class NoOptionError(ValueError):
    """An answer is none of the options of its question, or not surely one, or there are no options."""


def shown(value: Any) -> str:
    """Show a value of a row, if it is short."""
    text = str(value)
    return repr(text) if len(text) <= LONGEST_SHOWN else f"of {len(text)} characters"


def options_of(row: Record, choices: str | list[str]) -> tuple[list[str], list[str]]:
    """Return the options of a row and how it labels them, in order. Empty ones at the end do not count.

    Options are in fields of their own, in a list, or in a mapping of the lists `text` and `label`, as ARC has them.
    """
    found: Any = row.get(choices) if isinstance(choices, str) else [row.get(name) for name in choices]
    labels: Any = []
    if isinstance(found, dict):
        found, labels = found.get("text"), found.get("label", [])
    if not isinstance(found, list) or not isinstance(labels, list):
        raise NoOptionError(f"{choices} is no list of options")
    texts = ["" if option is None else cell_text(option) for option in found]
    if wrong := [option for option in texts if not isinstance(option, str)]:
        raise NoOptionError(f"an option is no text: {type(wrong[0]).__name__}")
    texts = [text.strip() for text in texts]
    while texts and not texts[-1]:
        texts.pop()
    if not 2 <= len(texts) <= len(LETTERS) or not all(texts):
        raise NoOptionError(f"there are {sum(map(bool, texts))} options")
    return texts, [str(cell_text(label)).strip() for label in labels]


def place_of(answer: Any, texts: list[str], labels: list[str], first: int | None) -> int:
    """Find which option an answer means: by its label, or else by its text, its letter or its number.

    Numbers are counted from `first`; None if nobody has said from where. An answer that is a text is not taken for one
    option if it may as well be another, such as "B" where that is the text of the third one.

    Raises NoOptionError.
    """
    text = str(cell_text(answer)).strip()
    if text in labels:
        return labels.index(text)
    readings = set()
    if text.isdecimal() and len(text) <= 2:
        if first is None and int(text) <= len(texts):
            raise NoOptionError("the answer is a number: say by `first_choice` whether the first option is 0 or 1")
        readings.add(int(text) - (first or 0))
    if isinstance(answer, str):
        readings |= {place for place, option in enumerate(texts) if option == text}
        if letter := letter_in(text):
            readings.add(LETTERS.index(letter))
    readings &= set(range(len(texts)))
    if len(readings) != 1:
        how = "several" if readings else "none"
        raise NoOptionError(f"the answer, {shown(text)}, can mean {how} of {len(texts)} options")
    return readings.pop()


def ask_for_letter(question: str, row: Record, fields: Fields) -> tuple[str, str]:
    """Write the options of a row under its question, and its answer as "(B)". Raises NoOptionError."""
    assert fields.choices is not None
    texts, labels = options_of(row, fields.choices)
    place = place_of(row[fields.response], texts, labels, fields.first_choice)
    options = "\n".join(f"({letter}) {text}" for letter, text in zip(LETTERS, texts, strict=False))
    return f"{question}\n{options}", f"({LETTERS[place]})"
