"""Which benchmark item a text repeats: exact questions, and shared word n-grams counted through an inverted index."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ingot.io.records import Record
from ingot.text import minhash
from ingot.text.compiled_forms import normal_pairs
from ingot.text.forms import normalise
from ingot.text.minhash import Bytes, Hashes, Places

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
    ends: Places,
    length: int,
    table: Hashes,
    numbers: Places,
    begin: Places,
    holders: Places,
    sizes: Places,
    least: int,
) -> tuple[Places, NDArray[np.float64]]:
    """Return for each text data[starts[i] : ends[i]] the indexed text that it has most of, and how much.

    `table` is a hash table of the indexed shingles, `numbers` gives each of its places a number k, and
    holders[begin[k] : begin[k + 1]] are the indexed texts with shingle k; `sizes` says how many shingles each text has.
    How much is the Jaccard similarity or, if `least` is not 0, the share of the indexed text that is contained, for
    those of at least `least` shingles.
    """
    texts = len(starts)
    items, scores = np.full(texts, -1, np.int64), np.zeros(texts, np.float64)
    shared, touched = np.zeros(len(sizes), np.int64), np.empty(len(sizes), np.int64)
    longest = (ends - starts).max() if texts else 0
    points, own = np.empty(longest + 1, np.uint32), np.empty(longest + 1, np.uint64)
    room = np.empty(minhash.table_for(longest), np.uint64)
    for i in range(texts):
        count = minhash.hash_shingles(data[starts[i] : ends[i]], WORDS, length, points, own)
        count = minhash.keep_distinct(own, count, room[: minhash.table_for(count)])
        found = 0
        for value in own[:count]:
            place = minhash.place_in(table, value)
            if table[place] == 0:
                continue
            k = numbers[place]
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


@njit(cache=True, nogil=True)
def number_all(known: Hashes, table: Hashes, numbers: Places) -> None:
    """Put distinct hashes into an empty hash table, and the place of each among them into `numbers`."""
    for k in range(len(known)):
        place = minhash.place_in(table, known[k])
        table[place] = known[k]
        numbers[place] = k


class Shingled:
    """An inverted index of texts by their word n-grams."""

    def __init__(self, texts: list[str], length: int) -> None:
        self.length = length
        hashes, begins = shingles_of(*minhash.join([normalise(text).encode() for text in texts]), WORDS, length)
        self.sizes = np.diff(begins)
        holders = np.repeat(np.arange(len(texts)), self.sizes)
        order = np.argsort(hashes, kind="stable")
        known, first = np.unique(hashes[order], return_index=True)
        self.begin = np.append(first, len(hashes))
        self.holders = holders[order]
        self.table = np.zeros(minhash.table_for(len(known)), np.uint64)
        self.numbers = np.zeros(len(self.table), np.int64)
        number_all(known, self.table, self.numbers)

    def best(self, data: Bytes, starts: Places, ends: Places, least: int) -> tuple[Places, NDArray[np.float64]]:
        """Return for each text, in normal form, the indexed text that it has most of, and how much of it."""
        index = (self.table, self.numbers, self.begin, self.holders, self.sizes)
        found: tuple[Places, NDArray[np.float64]] = best_overlaps(data, starts, ends, self.length, *index, least)
        return found


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
        self.exact = {normalise(item["instruction"]).encode(): i for i, item in enumerate(items)}
        self.questions = Shingled([item["instruction"] for item in items], length)
        self.answers = Shingled([item.get("response", "") for item in items], length)

    def find_all(self, records: list[Record]) -> list[Match | None]:
        """Return for each record what it repeats, or None."""
        data, starts, questions = normal_pairs(records)
        begins, ends = starts[:-1], starts[1:]
        found: list[Match | None] = [None] * len(records)
        # The surest last: it is what is said.
        ways = (
            (self.answers.best(data, begins, ends, LONG_ANSWER), "{:.0%} of the answer contained"),
            (self.questions.best(data, begins, ends, LONG_QUESTION), "{:.0%} of the question contained"),
            (self.questions.best(data, begins, begins + questions, 0), "Jaccard {:.3f}"),
        )
        for (items, scores), how in ways:
            for i in np.flatnonzero((scores >= self.threshold) & (items >= 0)).tolist():
                found[i] = Match(int(items[i]), how.format(scores[i]))
        view = data.data
        for i, (begin, length) in enumerate(zip(begins.tolist(), questions.tolist(), strict=True)):
            question = bytes(view[begin : begin + length])
            if question in self.exact:
                found[i] = Match(self.exact[question], "same question")
        return found

    def find(self, question: str, answer: str = "") -> Match | None:
        """Return what a question with its answer repeats, or None."""
        return self.find_all([{"instruction": question, "response": answer}])[0]
