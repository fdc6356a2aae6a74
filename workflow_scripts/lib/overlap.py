"""Which benchmark item a text repeats: exact questions, and shared word n-grams counted through an inverted index."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

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
def best_overlaps(
    data: Bytes,
    starts: Places,
    length: int,
    known: Hashes,
    begin: Places,
    holders: Places,
    sizes: Places,
    least: int,
) -> tuple[Places, NDArray[np.float64]]:
    """Return for each text the indexed text that it has most of, and how much.

    `known` are the indexed shingles, sorted; holders[begin[k] : begin[k + 1]] the indexed texts with known[k]; `sizes`
    how many shingles each has. How much is the Jaccard similarity or, if `least` is not 0, the share of the indexed
    text that is contained, for those of at least `least` shingles.
    """
    texts = len(starts) - 1
    items, scores = np.full(texts, -1, np.int64), np.zeros(texts, np.float64)
    shared, touched = np.zeros(len(sizes), np.int64), np.empty(len(sizes), np.int64)
    longest = minhash.longest_of(starts)
    points, own = np.empty(longest + 1, np.uint32), np.empty(longest + 1, np.uint64)
    table = np.empty(minhash.table_for(longest), np.uint64)
    for i in range(texts):
        count = minhash.hash_shingles(data[starts[i] : starts[i + 1]], WORDS, length, points, own)
        count = minhash.keep_distinct(own, count, table[: minhash.table_for(count)])
        found = 0
        for value in own[:count]:
            k = np.searchsorted(known, value)
            if k < len(known) and known[k] == value:
                for item in holders[begin[k] : begin[k + 1]]:
                    if shared[item] == 0:
                        touched[found] = item
                        found += 1
                    shared[item] += 1
        for item in touched[:found]:
            score = 0.0
            if least == 0:
                score = shared[item] / (count + sizes[item] - shared[item])
            elif sizes[item] >= least:
                score = shared[item] / sizes[item]
            if score > scores[i] or (score == scores[i] and score > 0 and item < items[i]):
                items[i], scores[i] = item, score
            shared[item] = 0
    return items, scores


class Shingled:
    """An inverted index of texts by their word n-grams."""

    def __init__(self, texts: list[str], length: int) -> None:
        self.length = length
        hashes, begins = shingles_of(*minhash.join([normalise(text).encode() for text in texts]), WORDS, length)
        self.sizes = np.diff(begins)
        holders = np.repeat(np.arange(len(texts)), self.sizes)
        order = np.argsort(hashes, kind="stable")
        self.known, first = np.unique(hashes[order], return_index=True)
        self.begin = np.append(first, len(hashes))
        self.holders = holders[order]

    def best(self, texts: list[bytes], least: int) -> tuple[Places, NDArray[np.float64]]:
        """Return for each text, in normal form, the indexed text that it has most of, and how much of it."""
        joined = minhash.join(texts)
        return best_overlaps(*joined, self.length, self.known, self.begin, self.holders, self.sizes, least)


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

    def find_all(self, records: list[Record]) -> list[Match | None]:
        """Return for each record what it repeats, or None."""
        questions = [normalise(record["instruction"]) for record in records]
        alone = [question.encode() for question in questions]
        whole = [f"{one} {normalise(r['response'])}".encode() for one, r in zip(questions, records, strict=True)]
        found: list[Match | None] = [None] * len(records)
        # The surest last: it is what is said.
        ways = (
            (self.answers.best(whole, LONG_ANSWER), "{:.0%} of the answer contained"),
            (self.questions.best(whole, LONG_QUESTION), "{:.0%} of the question contained"),
            (self.questions.best(alone, 0), "Jaccard {:.3f}"),
        )
        for (items, scores), how in ways:
            for i in np.flatnonzero((scores >= self.threshold) & (items >= 0)).tolist():
                found[i] = Match(int(items[i]), how.format(scores[i]))
        for i, question in enumerate(questions):
            if question in self.exact:
                found[i] = Match(self.exact[question], "same question")
        return found

    def find(self, question: str, answer: str = "") -> Match | None:
        """Return what a question with its answer repeats, or None."""
        return self.find_all([{"instruction": question, "response": answer}])[0]
