"""Count the tokens of texts with the model's own tokenizer, without tokenising the same words again and again."""

from typing import Any

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from ingot.text import minhash
from ingot.text.ascii import DIGITS, LETTERS, NEWLINE, SIGNS, SPACE, VISIBLE
from ingot.text.minhash import FNV_OFFSET, FNV_PRIME, Bytes, Hashes, Places

REMEMBERED = 1 << 19  # how many pieces are remembered
AUDITED = 50  # one text in so many is also tokenised as a whole, to check the count


@njit(cache=True, nogil=True, inline="always")
def is_between(before: int, this: int, after: int) -> bool:
    """Tell whether a piece ends between the bytes `before` and `this`, given the byte `after` them.

    It ends before a space that precedes a visible sign, before a newline that follows a letter or a digit, and between
    a letter and a sign. At these places the tokenizers of GPT-2, Llama 3 and Qwen 2 always begin a new token: their
    pattern splits a text there before tokens are merged.
    """
    if this == SPACE:
        return bool(VISIBLE[before] and VISIBLE[after])
    if this == NEWLINE:
        return bool(LETTERS[before] or DIGITS[before])
    return bool(LETTERS[before] and SIGNS[this])


@njit(cache=True, nogil=True)
def split(data: Bytes, starts: Places) -> tuple[Hashes, Places, Places]:
    """Split texts into pieces. Return the hash of each piece [pieces], where it begins, and the first one of each text.

    The last two are [pieces + 1] and [texts + 1]: their last value is the end.
    """
    texts = len(starts) - 1
    hashes, begins = np.empty(len(data) + texts, np.uint64), np.empty(len(data) + texts + 1, np.int64)
    first = np.empty(texts + 1, np.int64)
    pieces = 0
    for i in range(texts):
        first[i] = pieces
        value = FNV_OFFSET
        begins[pieces] = starts[i]
        for place in range(starts[i], starts[i + 1]):
            inside = starts[i] < place < starts[i + 1] - 1
            if inside and is_between(data[place - 1], data[place], data[place + 1]):
                hashes[pieces] = minhash.mixed(value) | uint64(1)
                pieces += 1
                begins[pieces] = place
                value = FNV_OFFSET
            value = (value ^ uint64(data[place])) * FNV_PRIME
        hashes[pieces] = minhash.mixed(value) | uint64(1)
        pieces += 1
    first[texts] = pieces
    begins[pieces] = len(data)
    return hashes[:pieces], begins[: pieces + 1], first


@njit(cache=True, nogil=True)
def find_new(hashes: Hashes, table: Hashes) -> tuple[Places, Places]:
    """Put new pieces into the hash table. Return the place of every piece in it, and which pieces are new."""
    places, new = np.empty(len(hashes), np.int64), np.empty(len(hashes), np.int64)
    count = 0
    for i in range(len(hashes)):
        place = minhash.place_in(table, hashes[i])
        if table[place] == 0:
            table[place] = hashes[i]
            new[count] = i
            count += 1
        places[i] = place
    return places, new[:count]


class TokenCounter:
    """Counts tokens piece by piece, and remembers the pieces.

    If that is found to differ from tokenising whole texts, whole texts are tokenised from then on.

    Args:
        tokenizer: A tokenizer of the library tokenizers.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.piecewise = True
        self.counted = 0
        self.forget()

    def forget(self) -> None:
        """Empty the tables of known pieces and of their numbers of tokens."""
        self.known, self.filled = np.zeros(4 * REMEMBERED, np.uint64), 0
        self.tokens: NDArray[np.int64] = np.zeros(4 * REMEMBERED, np.int64)

    def whole(self, texts: list[str]) -> list[int]:
        """Count the tokens of each text by tokenising it as a whole."""
        return [len(encoding.ids) for encoding in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def count(self, texts: list[str], data: Bytes, starts: Places) -> list[int]:
        """Count the tokens of each text, without the special ones that mark its beginning and end.

        `data` and `starts` are the same texts, as ingot.text.minhash.join returns them.
        """
        if self.piecewise:
            counts = self.by_pieces(data, starts)
            audited = range(-self.counted % AUDITED, len(texts), AUDITED)
            self.counted += len(texts)
            self.piecewise = self.whole([texts[i] for i in audited]) == [counts[i] for i in audited]
            if self.piecewise:
                return counts
        return self.whole(texts)

    def by_pieces(self, data: Bytes, starts: Places) -> list[int]:
        """Count the tokens of each text by adding up those of its pieces."""
        hashes, begins, first = split(data, starts)
        if self.filled > REMEMBERED:
            self.forget()
        places, new = find_new(hashes, self.known)
        self.filled += len(new)
        view = data.data
        pieces = [str(view[begins[i] : begins[i + 1]], "utf-8") for i in new.tolist()]
        self.tokens[places[new]] = self.whole(pieces)
        sums = np.concatenate([[0], np.cumsum(self.tokens[places])])
        counts: list[int] = (sums[first[1:]] - sums[first[:-1]]).tolist()
        return counts
