"""Tell which texts of a batch a filter must look at: compiled tests that see the plain cases, and err on the safe side.

Most texts have no address, no long number, no offensive word. A compiled pass over their bytes sees that in a few
microseconds, while each filter by itself takes tens of them. A text that is no suspect here would pass the filter. The
tests know European letters and typographic signs. A text with other signs is looked at by every filter.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from ingot.curation.filters import offensive_words
from ingot.settings.filters import Filter, FilterName
from ingot.text import minhash
from ingot.text.ascii import CAPITALS, CASE, DIGITS, LETTERS, SPACE, SPACES, table
from ingot.text.minhash import FNV_OFFSET, FNV_PRIME, Bytes, Hashes, Places

Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]

CONTROLS = (np.arange(256) < 32) & ~np.isin(np.arange(256), [9, 10, 13]) | (np.arange(256) == 127)
IN_KEYS = DIGITS | LETTERS | table("_-")
# Every secret of ingot.curation.personal.SECRETS has so many signs of a key in a row, or so many dashes.
SHORTEST_KEY, DASHES = 13, 5
OPENINGS = table("<[{#")
AT, HASH, DOT, DASH = (ord(sign) for sign in "@#.-")
FIRST_NOT_ASCII = 128
# In UTF-8, signs up to U+02FF begin with C2 to CB, and those from U+2000 to U+203F with E2 80. The marks of direction,
# U+202A to U+202E, are among the latter.
LAST_LATIN, TYPOGRAPHIC, BLOCK, LEFT_TO_RIGHT, LAST_MARK = 0xCB, 0xE2, 0x80, 0xAA, 0xAE
PHONE, ADDRESS = 7, 4  # digits of the shortest phone number, numbers of an IP address
LISTED = frozenset(("lorem",))  # the leftover that begins with a word


class Seen(NamedTuple):
    """What the compiled pass sees of each text: seven times yes or no, and four numbers."""

    beyond: Mask
    """Whether it has signs that are not ASCII."""
    odd: Mask
    """Whether it has signs that the tests do not know."""
    control: Mask
    """Whether it has a control character, or a mark of direction."""
    opening: Mask
    """Whether it has a sign that a leftover of a template begins with."""
    key: Mask
    """Whether it has as many letters, digits and dashes in a row as a key, or the line of dashes before one."""
    contact: Mask
    """Whether it has an @, enough digits for a phone number at most two signs apart, four numbers with dots between, or
    two capitals before two digits."""
    listed: Mask
    """Whether it has a listed word."""
    words: Counts
    """How many words it has."""
    characters: Counts
    """How many characters the words have."""
    with_letter: Counts
    """How many words have a letter."""
    symbols: Counts
    """How many # and ... it has."""


@njit(cache=True, nogil=True)
def word_hashes(data: Bytes, starts: Places) -> Hashes:
    """Hash each text, without case, as `look` hashes a run of letters and digits."""
    hashes = np.empty(len(starts) - 1, np.uint64)
    for i in range(len(starts) - 1):
        value = FNV_OFFSET
        for byte in data[starts[i] : starts[i + 1]]:
            value = (value ^ uint64(byte | CASE)) * FNV_PRIME
        hashes[i] = minhash.mixed(value)
    return hashes


@njit(cache=True, nogil=True)
def count_words(data: Bytes, starts: Places) -> Counts:
    """Count the numbers of `Seen` [4, texts], in its order."""
    numbers = np.zeros((4, len(starts) - 1), np.int64)
    for i in range(len(starts) - 1):
        words, characters, with_letter, symbols = 0, 0, 0, 0
        in_word, has_letter, dots = False, False, 0
        # A space after the text ends its last word.
        for place in range(starts[i], starts[i + 1] + 1):
            byte = data[place] if place < starts[i + 1] else np.uint8(SPACE)
            dots = dots + 1 if byte == DOT else 0
            if dots == 3 or byte == HASH:
                symbols += 1
                dots = 0
            if SPACES[byte]:
                words += in_word
                with_letter += has_letter
                in_word, has_letter = False, False
            else:
                in_word = True
                has_letter |= LETTERS[byte]
                characters += 1
        numbers[0, i], numbers[1, i], numbers[2, i], numbers[3, i] = words, characters, with_letter, symbols
    return numbers


@njit(cache=True, nogil=True)
def look(data: Bytes, starts: Places, table: Hashes) -> Mask:
    """Look for what `Seen` answers with yes or no [7, texts], in its order.

    `table` is a hash table of the listed words, by `word_hashes`.
    """
    seen = np.zeros((7, len(starts) - 1), np.bool_)
    for i in range(len(starts) - 1):
        beyond, odd, control, opening, key, contact, listed = False, False, False, False, False, False, False
        value, hashed = FNV_OFFSET, 0
        in_key, dashes = 0, 0
        near, gap, dotted, capitals, code = 0, 0, 1, 0, 0
        # A space after the text ends its last word.
        for place in range(starts[i], starts[i + 1] + 1):
            byte = data[place] if place < starts[i + 1] else np.uint8(SPACE)
            if byte >= FIRST_NOT_ASCII:
                beyond = True
                if byte == TYPOGRAPHIC and data[place + 1] == BLOCK:
                    control |= bool(LEFT_TO_RIGHT <= data[place + 2] <= LAST_MARK)
                else:
                    odd |= bool(byte > LAST_LATIN)
            control |= CONTROLS[byte]
            opening |= OPENINGS[byte]
            in_key = in_key + 1 if IN_KEYS[byte] else 0
            dashes = dashes + 1 if byte == DASH else 0
            key |= in_key >= SHORTEST_KEY or dashes >= DASHES
            if LETTERS[byte] or DIGITS[byte]:
                value = (value ^ uint64(byte | CASE)) * FNV_PRIME
                hashed += 1
            elif hashed:
                value = minhash.mixed(value)
                listed |= table[minhash.place_in(table, value)] != 0
                value, hashed = FNV_OFFSET, 0
            if DIGITS[byte]:
                near = near + 1 if gap <= 2 else 1
                dotted = dotted + 1 if gap == 1 and data[place - 1] == DOT else dotted if gap == 0 else 1
                code = 1 if capitals >= 2 else code + 1 if code and gap == 0 else 0
                gap = 0
                contact |= near >= PHONE or dotted >= ADDRESS or code == 2
            else:
                gap += 1
                code = 0
            capitals = capitals + 1 if CAPITALS[byte] else 0
            contact |= byte == AT
        seen[0, i], seen[1, i], seen[2, i], seen[3, i] = beyond, odd, control, opening
        seen[4, i], seen[5, i], seen[6, i] = key, contact, listed
    return seen


def gibberish(seen: Seen, settings: Filter) -> Mask:
    """Tell which texts the filter `gibberish` may refuse."""
    limits = settings.gibberish
    words = np.maximum(seen.words, 1)
    low, high = limits.word_length
    mean, letters, symbols = seen.characters / words, seen.with_letter / words, seen.symbols / words
    sound = (mean >= low) & (mean <= high) & (letters >= limits.words_with_letters)
    sound &= symbols <= limits.symbols_per_word
    # Characters that are not ASCII are several bytes, so the counts of such a text are not right.
    suspects: Mask = (seen.words >= limits.least_words) & ~sound | seen.beyond
    return suspects


SUSPECTS: dict[FilterName, Callable[[Seen, Filter], Mask]] = {
    "characters": lambda seen, _: seen.control,
    "leftovers": lambda seen, _: seen.opening | seen.listed,
    "secrets": lambda seen, _: seen.key,
    "personal": lambda seen, _: seen.contact,
    "offensive": lambda seen, _: seen.listed,
    "gibberish": gibberish,
    "repetition": lambda seen, settings: (seen.words >= settings.repetition.least_words) | seen.beyond,
}
"""The texts that a filter may refuse or change, per filter that has a test here."""


class Screen:
    """Tells which texts of a batch a filter has to look at."""

    def __init__(self, settings: Filter) -> None:
        self.settings = settings
        self.tested = [name for name in settings.order if name in SUSPECTS]
        listed = LISTED | (offensive_words(settings.offensive) if "offensive" in self.tested else set())
        self.beyond_ascii = {"offensive"} if not all(map(str.isascii, listed)) else set()
        hashes = word_hashes(*minhash.join([word.encode() for word in sorted(listed)]))
        self.table = np.zeros(minhash.table_for(len(hashes)), np.uint64)
        minhash.keep_distinct(hashes, len(hashes), self.table)

    def suspects(self, data: Bytes, starts: Places) -> dict[FilterName, list[bool]]:
        """Tell, for each filter with a test here, which texts it must look at.

        `data` and `starts` are the texts as ingot.text.minhash.join joins them.
        """
        seen = Seen(*look(data, starts, self.table), *count_words(data, starts))
        return {
            name: (
                SUSPECTS[name](seen, self.settings) | (seen.beyond if name in self.beyond_ascii else seen.odd)
            ).tolist()
            for name in self.tested
        }
