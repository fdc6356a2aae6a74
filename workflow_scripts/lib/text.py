"""Text primitives shared by the data steps: normal form, words, shingles, identity and the hash that splits."""

import hashlib
import re
import unicodedata

_WORD = re.compile(r"\w+|[^\w\s]")


def normalise(text: str) -> str:
    """Return the form in which two texts count as the same: NFKC, lower case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def words(text: str) -> list[str]:
    """Split normalised text into words and single punctuation marks."""
    return _WORD.findall(normalise(text))


def shingles(text: str, size: int) -> set[str]:
    """Return the set of word n-grams of `text` (n = `size`); a shorter text is one shingle of its own."""
    tokens = words(text)
    if len(tokens) <= size:
        return {" ".join(tokens)} if tokens else set()
    return {" ".join(tokens[i : i + size]) for i in range(len(tokens) - size + 1)}


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
