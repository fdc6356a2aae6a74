"""Text primitives shared by the data steps: normal form, words, shingles, identity and the hash that splits."""

import hashlib
import re
import unicodedata
from typing import Any

# A word is a run of letters, digits and what is not ASCII; any other sign is a word by itself.
# ingot/text/minhash.py does the same.
_WORD = re.compile(r"[0-9A-Za-z_\x80-\U0010ffff]+|[^\s]")
# What is not seen: joiners, marks of direction, soft hyphens, byte order marks.
_INVISIBLE = re.compile("[\u00ad\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u206f]")


def text_of(record: dict[str, Any]) -> str:
    """Return question and answer of a record as one text."""
    return f"{record['instruction']}\n{record['response']}"


def normalise(text: str) -> str:
    """Return the form in which two texts count as the same: NFKC, lower case, single spaces, nothing invisible."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold()
        return " ".join(text.split())
    return " ".join(text.lower().split())


def words(text: str) -> list[str]:
    """Split normalised text into words and single punctuation marks."""
    return _WORD.findall(normalise(text))


def shingles(text: str, kind: str, length: int) -> set[str]:
    """Return the n-grams (n = `length`) of the "words" or "characters" of `text`; a shorter text is a single one."""
    units, space = (words(text), " ") if kind == "words" else (list(normalise(text)), "")
    if len(units) <= length:
        return {space.join(units)} if units else set()
    return {space.join(units[i : i + length]) for i in range(len(units) - length + 1)}


def jaccard(left: set[str], right: set[str]) -> float:
    """Return |A n B| / |A u B|, and 1.0 for two empty sets."""
    union = len(left | right)
    return len(left & right) / union if union else 1.0


def record_id(instruction: str, response: str) -> str:
    """Return the content hash (16 hex digits) that names a record, whatever file it came from."""
    return hashlib.sha256(f"{instruction}\x1f{response}".encode()).hexdigest()[:16]


def unit_hash(prompt: str) -> float:
    """Map a prompt to [0, 1): equal prompts, up to normalisation, always fall on the same side of a split."""
    return int.from_bytes(hashlib.sha256(normalise(prompt).encode()).digest()[:8], "big") / 2**64
