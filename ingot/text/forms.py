"""Compare and name texts: their normal form, words and shingles, the id of a record, and the hash that splits data."""

import hashlib
import re
import unicodedata
from typing import Any

# A word is a run of letters, digits and signs beyond ASCII. Any other sign is a word by itself.
# ingot/text/minhash.py splits in the same way.
_WORD = re.compile(r"[0-9A-Za-z_\x80-\U0010ffff]+|[^\s]")
# Signs that cannot be seen: joiners, direction marks, soft hyphens, byte order marks.
_INVISIBLE = re.compile("[\u00ad\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u206f]")


def text_of(record: dict[str, Any]) -> str:
    """Join the question and the answer of a record."""
    return f"{record['instruction']}\n{record['response']}"


def normalise(text: str) -> str:
    """Bring a text to its normal form: NFKC, lower case, single spaces, no invisible signs.

    Two texts count as the same if their normal forms are equal.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold()
        return " ".join(text.split())
    return " ".join(text.lower().split())


def words(text: str) -> list[str]:
    """Split the normal form of a text into words and single punctuation marks."""
    return _WORD.findall(normalise(text))


def shingles(text: str, kind: str, length: int) -> set[str]:
    """Return the n-grams (n = `length`) of the "words" or "characters" of a text. A shorter text is a single one."""
    units, space = (words(text), " ") if kind == "words" else (list(normalise(text)), "")
    if len(units) <= length:
        return {space.join(units)} if units else set()
    return {space.join(units[i : i + length]) for i in range(len(units) - length + 1)}


def jaccard(left: set[str], right: set[str]) -> float:
    """Compute the Jaccard similarity of two sets, from 0 to 1. It is 1 for two empty sets."""
    union = len(left | right)
    return len(left & right) / union if union else 1.0


def record_id(instruction: str, response: str) -> str:
    """Compute the id of a record from its content: 16 hex digits. It does not depend on the file it came from."""
    return hashlib.sha256(f"{instruction}\x1f{response}".encode()).hexdigest()[:16]


def unit_hash(prompt: str) -> float:
    """Hash a prompt to a number in [0, 1). Prompts with the same normal form are always on the same side of a split."""
    return int.from_bytes(hashlib.sha256(normalise(prompt).encode()).digest()[:8], "big") / 2**64
