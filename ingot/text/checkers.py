"""Check whether an answer says what the reference says. No code is run.

What cannot be checked is `open`: such an answer is neither right nor wrong here. The rules by which an answer is found
in a text are those of lm-evaluation-harness's tasks; the tests compare with them.
"""

import ast
import json
import re
import string
import unicodedata
from collections.abc import Callable
from typing import Any

from ingot.text.calls import accepts, call_in, unfenced

OPEN = "open"
"""The name of what no checker can check."""
NUMBERS = re.compile(r"-?\d[\d,]*(?:\.\d+)?|-?\.\d+")
FINAL = re.compile(r"####\s*(.+)")
# Not the words "a" and "I": "the answer is a fish" chooses nothing.
SAID = re.compile(r"\b(?i:answer)\s*(?:(?i:is)|:|=)?\s*:?\s*\**\(?([A-Zb-hj-z])\b\)?")
LETTER = re.compile(r"\(([A-Z])\)")
ALONE = re.compile(r"\(?([A-Z])\)?(?:[.:)]\s.*|[.:)]?)", re.DOTALL)
BARE = re.compile(r"\(?([a-z])\)?")
THE_ANSWER = re.compile(r"\bthe answer is:?\s*(.+?)\.?\s*$", re.IGNORECASE | re.MULTILINE)
ARTICLES = re.compile(r"\b(?:a|an|the)\b")
ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
# A reference of at most so many words is a phrase that another answer can be compared with.
WORDS_OF_PHRASE = 5
# Thai, Lao, Burmese, Khmer, Japanese and Chinese are written without spaces. Two of their signs are about a word.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def same_text(answer: str, reference: str) -> bool:
    """Compare two texts. White space does not count."""
    return answer.split() == reference.split()


def number_in(text: str) -> float | None:
    """Read the number that a text ends with: the one after ####, as in GSM8K's solutions, or else its last number.

    None if there is none. Signs of money and commas between digits do not count.
    """
    final = FINAL.findall(text)
    numbers = NUMBERS.findall(final[-1] if final else text)
    return float(numbers[-1].replace(",", "")) if numbers else None


def same_number(answer: str, reference: str) -> bool:
    """Compare the numbers that two texts end with. '7.0' equals '7'."""
    number = number_in(answer)
    return number is not None and number == number_in(reference)


def letter_in(text: str) -> str | None:
    """Read which option a text chooses: "(B)", "B", "b", "B. Paris", "The answer is (B) Paris.".

    It is what the text last calls the answer, or the only option that it names. None if it names none, or several.
    """
    text = text.strip()
    if said := SAID.findall(text):
        return str(said[-1]).upper()
    if alone := ALONE.fullmatch(text) or BARE.fullmatch(text):
        return str(alone[1]).upper()
    named = set(LETTER.findall(text))
    return named.pop() if len(named) == 1 else None


def same_choice(answer: str, reference: str) -> bool:
    """Compare the options that two texts choose."""
    letter = letter_in(answer)
    return letter is not None and letter == letter_in(reference)


def normal(text: str) -> str:
    """Write a short answer as Rajpurkar et al. 2016 (SQuAD) compare it: no case, punctuation, articles or spaces.

    If the text says what the answer is, the rest of it is left out.
    """
    said = THE_ANSWER.findall(text)
    plain = (said[-1] if said else text).casefold().translate(ASCII_PUNCTUATION)
    if not plain.isascii():
        plain = "".join(sign for sign in plain if not unicodedata.category(sign).startswith("P"))
    return " ".join(ARTICLES.sub(" ", plain).split())


def same_phrase(answer: str, reference: str) -> bool:
    """Compare two short answers. Case, punctuation and articles do not count."""
    return normal(answer) == normal(reference) != ""


def same_json(answer: str, reference: str) -> bool:
    """Compare JSON values. The order of keys and white space do not count, nor does the fence of a block of code."""
    try:
        return bool(json.loads(unfenced(answer)) == json.loads(unfenced(reference)))
    except (ValueError, RecursionError):
        return False


def same_python(answer: str, reference: str) -> bool:
    """Compare Python programs by their syntax trees. Layout and comments do not count."""
    try:
        return ast.dump(ast.parse(answer)) == ast.dump(ast.parse(reference))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def same_call(answer: str, reference: str) -> bool:
    """Compare function calls, in JSON or in Python, by name and arguments."""
    call = call_in(reference)
    return call is not None and accepts([{call[0]: {key: [value] for key, value in call[1].items()}}], answer)


CHECKERS: dict[str, Callable[[str, str], bool]] = {
    "text": same_text,
    "phrase": same_phrase,
    "number": same_number,
    "choice": same_choice,
    "json": same_json,
    "call": same_call,
    "python": same_python,
}
NAMES = (*CHECKERS, OPEN)


def is_readable(checker: str, answer: str) -> bool:
    """Tell whether an answer is something that the checker can read, such as valid JSON."""
    # An answer that cannot be read does not even equal itself.
    return CHECKERS[checker](answer, answer) if checker not in ("text", OPEN) else bool(answer)


def is_right(checker: str, answer: str, reference: str, accepted: Any = None) -> bool | None:
    """Tell whether `answer` is right, by the checker of that name; None if it is open.

    `accepted`, if there, says of a call what else is accepted besides the reference: see ingot.text.calls.

    Raises KeyError for an unknown checker.
    """
    if checker == "call" and accepted:
        return accepts(accepted, answer)
    return None if checker == OPEN else CHECKERS[checker](answer, reference)


def implied(instruction: str, response: str) -> str:
    """Say by which checker answers can be compared with a response, from the shape of question and response."""
    response = response.strip()
    if re.search(r"####\s*\S+\s*\Z", response) and number_in(response) is not None:
        return "number"
    if re.search(r"\(A\).*\(B\)|^A[.:)].*^B[.:)]", instruction, re.DOTALL | re.MULTILINE) and letter_in(response):
        return "choice"
    if re.fullmatch(rf"\$?(?:{NUMBERS.pattern})%?", response):
        return "number"
    if response[:1] in ("{", "[") and same_json(response, response):
        return "json"
    words = len(UNSPACED.sub(" ", response).split()) + len(UNSPACED.findall(response)) / 2
    return "phrase" if words <= WORDS_OF_PHRASE and "\n" not in response and normal(response) else OPEN
