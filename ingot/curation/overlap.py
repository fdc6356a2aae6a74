"""Find the benchmark item that a text repeats, by the exact question or by n-grams of words in an inverted index."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ingot.io.records import Record
from ingot.settings.data import Decontaminate
from ingot.text import minhash
from ingot.text.compiled_forms import normal_pairs
from ingot.text.forms import normalise
from ingot.text.minhash import Bytes, Hashes, Places

# How many n-grams a question, or an answer, must have to be recognised in a record that contains it. A shorter question
# can be contained in another one by chance. Answers need more: tool calls and short programs are alike by nature.
LONG_QUESTION, LONG_ANSWER = 8, 40
WORDS = minhash.KINDS["words"]


class Match(NamedTuple):
    """The item that a record repeats, and how."""

    item: int
    how: str


@njit(cache=True, nogil=True)
def shingles_of(data: Bytes, starts: Places, kind: int, length: int) -> tuple[Hashes, Places]:
    """Return the distinct shingle hashes of all texts, text by text, and where those of each text begin."""
    texts = len(starts) - 1
    points, hashes = np.empty(len(data) + 1, np.uint32), np.empty(len(data) + 1, np.uint64)
    table = np.empty(minhash.table_for(len(data)), np.uint64)
    distinct = np.empty(len(data) + texts, np.uint64)
    begins = np.zeros(texts + 1, np.int64)
    for i in range(texts):
        count = minhash.hash_shingles(data[starts[i] : starts[i + 1]], kind, length, points, hashes)
        count = minhash.keep_distinct(hashes, count, table[: minhash.table_for(count)])
        distinct[begins[i] : begins[i] + count] = hashes[:count]
        begins[i + 1] = begins[i] + count
    return distinct[: begins[texts]], begins


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
    """Find for each text data[starts[i] : ends[i]] the indexed text that it repeats most of, and its score.

    With `least` 0, the score is the Jaccard similarity. Otherwise it is the share of the indexed text that the text
    contains, and only indexed texts of at least `least` shingles count.

    Args:
        data: all texts.
        starts: where each text begins.
        ends: where each text ends.
        length: words of a shingle.
        table: hash table of the indexed shingles.
        numbers: the number k of the shingle in each place of the table.
        begin: shingle k is in the indexed texts holders[begin[k] : begin[k + 1]].
        holders: see `begin`.
        sizes: how many shingles each indexed text has.
        least: see above.
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
        reached = 0
        for value in own[:count]:
            place = minhash.place_in(table, value)
            if table[place] == 0:
                continue
            k = numbers[place]
            for item in holders[begin[k] : begin[k + 1]]:
                if shared[item] == 0:
                    touched[reached] = item
                    reached += 1
                shared[item] += 1
        for item in touched[:reached]:
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
def number_all(hashes: Hashes, table: Hashes, numbers: Places) -> None:
    """Put distinct hashes into an empty hash table, and the number of each hash into the same place of `numbers`."""
    for k in range(len(hashes)):
        place = minhash.place_in(table, hashes[k])
        table[place] = hashes[k]
        numbers[place] = k


class Shingled:
    """An inverted index of texts by their word n-grams."""

    def __init__(self, texts: list[str], length: int) -> None:
        self.length = length
        hashes, begins = shingles_of(*minhash.join([normalise(text).encode() for text in texts]), WORDS, length)
        self.sizes = np.diff(begins)
        holders = np.repeat(np.arange(len(texts)), self.sizes)
        order = np.argsort(hashes, kind="stable")
        distinct, first = np.unique(hashes[order], return_index=True)
        self.begin = np.append(first, len(hashes))
        self.holders = holders[order]
        self.table = np.zeros(minhash.table_for(len(distinct)), np.uint64)
        self.numbers = np.zeros(len(self.table), np.int64)
        number_all(distinct, self.table, self.numbers)

    def best(self, data: Bytes, starts: Places, ends: Places, least: int) -> tuple[Places, NDArray[np.float64]]:
        """Find for each text, in normal form, the indexed text that it repeats most of, and its score."""
        index = (self.table, self.numbers, self.begin, self.holders, self.sizes)
        best: tuple[Places, NDArray[np.float64]] = best_overlaps(data, starts, ends, self.length, *index, least)
        return best


class BenchmarkIndex:
    """Finds the benchmark item whose question or answer a training record repeats.

    A record repeats an item if the two questions are as similar as `threshold` says, or if the record contains that
    share of the n-grams of the item's question or answer. GPT-3's overlap analysis counts n-grams in the same way
    (Brown et al. 2020, appendix C).
    """

    def __init__(self, items: list[Record], settings: Decontaminate) -> None:
        self.threshold = settings.threshold
        self.exact = {normalise(item["instruction"]).encode(): i for i, item in enumerate(items)}
        self.questions = Shingled([item["instruction"] for item in items], settings.shingle)
        self.answers = Shingled([item.get("response", "") for item in items], settings.shingle)

    def find_all(self, records: list[Record]) -> list[Match | None]:
        """Find for each record the item that it repeats, or None."""
        data, starts, questions = normal_pairs(records)
        begins, ends = starts[:-1], starts[1:]
        matches: list[Match | None] = [None] * len(records)
        # The surest way comes last, so that the match says it if several apply.
        ways = (
            (self.answers.best(data, begins, ends, LONG_ANSWER), "{:.0%} of the answer contained"),
            (self.questions.best(data, begins, ends, LONG_QUESTION), "{:.0%} of the question contained"),
            (self.questions.best(data, begins, begins + questions, 0), "Jaccard {:.3f}"),
        )
        for (items, scores), how in ways:
            for i in np.flatnonzero((scores >= self.threshold) & (items >= 0)).tolist():
                matches[i] = Match(int(items[i]), how.format(scores[i]))
        view = data.data
        for i, (begin, length) in enumerate(zip(begins.tolist(), questions.tolist(), strict=True)):
            question = bytes(view[begin : begin + length])
            if question in self.exact:
                matches[i] = Match(self.exact[question], "same question")
        return matches

    def find(self, question: str, answer: str = "") -> Match | None:
        """Find the item that a question with its answer repeats, or None."""
        return self.find_all([{"instruction": question, "response": answer}])[0]
