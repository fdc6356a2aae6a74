"""Which benchmark item a text repeats: exact questions, and shared word n-grams counted through an inverted index."""

from typing import NamedTuple

import numpy as np
from numba import njit

from lib import minhash
from lib.minhash import Bytes, Hashes, Places
from lib.records import Record
from lib.text import normalise

# n-grams that a text must have to be recognised by a part of it. A shorter question can be contained in another by
# chance; and an answer says less about where it is from: tool calls and short programs are alike by nature.
LONG_QUESTION, LONG_ANSWER = 8, 40
WORDS = minhash.KINDS["words"]


class Match(NamedTuple):
    """The item that a record repeats, which part of it, and how."""

    item: int
    how: str


@njit(cache=True, nogil=True)
def shingles_of(data: Bytes, starts: Places, kind: int, length: int) -> tuple[Hashes, Places]:
    """Return the distinct shingle hashes of texts, one text after the other, and where each begins."""
    texts = len(starts) - 1
    points, hashes = np.empty(len(data) + 1, np.uint32), np.empty(len(data) + 1, np.uint64)
    table = np.empty(minhash.table_for(len(data)), np.uint64)
    found = np.empty(len(data) + texts, np.uint64)
    begins = np.zeros(texts + 1, np.int64)
    for i in range(texts):
        count = minhash.hash_shingles(data[starts[i] : starts[i + 1]], kind, length, points, hashes)
        count = minhash.keep_distinct(hashes, count, table[: minhash.table_for(count)])
        found[begins[i] : begins[i] + count] = hashes[:count]
        begins[i + 1] = begins[i] + count
    return found[: begins[texts]], begins


@njit(cache=True, nogil=True)
def count_shared(own: Hashes, known: Hashes, holders_begin: Places, holders: Places, shared: Places) -> None:
    """Add to `shared`, per indexed text, how many of the shingles `own` it has.

    `known` are the indexed shingles, sorted; holders[holders_begin[k] : holders_begin[k + 1]] the texts with known[k].
    """
    for value in own:
        k = np.searchsorted(known, value)
        if k < len(known) and known[k] == value:
            for place in range(holders_begin[k], holders_begin[k + 1]):
                shared[holders[place]] += 1


class Shingled:
    """An inverted index of texts by their word n-grams."""

    def __init__(self, texts: list[str], length: int) -> None:
        self.length = length
        hashes, begins = self.hashes(texts)
        self.sizes = np.diff(begins)
        holders = np.repeat(np.arange(len(texts)), self.sizes)
        order = np.argsort(hashes, kind="stable")
        self.known, first = np.unique(hashes[order], return_index=True)
        self.begin = np.append(first, len(hashes))
        self.holders = holders[order]

    def hashes(self, texts: list[str]) -> tuple[Hashes, Places]:
        """Return the distinct shingle hashes of texts, and where those of each begin."""
        return shingles_of(*minhash.join([normalise(text).encode() for text in texts]), WORDS, self.length)

    def shared(self, text: str) -> tuple[Places, int]:
        """Return how many shingles each indexed text has in common with `text`, and how many `text` has."""
        own, _ = self.hashes([text])
        shared = np.zeros(len(self.sizes), np.int64)
        count_shared(own, self.known, self.begin, self.holders, shared)
        return shared, len(own)


class BenchmarkIndex:
    """Finds the benchmark item whose question or answer a training record repeats.

    Args:
        items: the benchmark items.
        length: words of an n-gram.
        threshold: least Jaccard similarity of two questions, or least share of the n-grams of a question or an answer
            that a record contains, as GPT-3's overlap analysis counts them (Brown et al. 2020, appendix C).
    """

    def __init__(self, items: list[Record], length: int, threshold: float) -> None:
        self.threshold = threshold
        self.exact = {normalise(item["instruction"]): i for i, item in enumerate(items)}
        self.questions = Shingled([item["instruction"] for item in items], length)
        self.answers = Shingled([item.get("response", "") for item in items], length)

    def find(self, question: str, answer: str = "") -> Match | None:
        """Return what a record repeats, or None."""
        if (exact := self.exact.get(normalise(question))) is not None:
            return Match(exact, "same question")
        if not len(self.questions.sizes):
            return None
        shared, own = self.questions.shared(question)
        likeness = shared / np.maximum(1, own + self.questions.sizes - shared)
        best = int(likeness.argmax())
        if likeness[best] >= self.threshold:
            return Match(best, f"Jaccard {likeness[best]:.3f}")
        text = f"{question}\n{answer}"
        return self.contained(self.questions, LONG_QUESTION, "question", text) or self.contained(
            self.answers, LONG_ANSWER, "answer", text
        )

    def contained(self, texts: Shingled, least: int, part: str, text: str) -> Match | None:
        """Return the item most of whose question or answer a text contains, if that is enough to be no chance."""
        shared, _ = texts.shared(text)
        shares = np.where(texts.sizes >= least, shared / np.maximum(1, texts.sizes), 0.0)
        best = int(shares.argmax())
        return Match(best, f"{shares[best]:.0%} of the {part} contained") if shares[best] >= self.threshold else None
