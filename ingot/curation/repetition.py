"""How repetitive a text is: the measures of Gopher (Rae et al. 2021, arXiv:2112.11446, table A1), compiled by numba."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Counts = NDArray[np.int64]
TOP = (2, 3, 4)
"""n-grams whose most frequent one is looked at."""
REPEATED = (5, 6, 7, 8, 9, 10)
"""n-grams whose every repetition counts."""


@njit(cache=True, nogil=True)
def hashes_of(words: Hashes, length: int) -> Hashes:
    """Return a hash per n-gram of `length` words, given a hash per word."""
    count = max(0, len(words) - length + 1)
    found = np.empty(count, np.uint64)
    for i in range(count):
        value = np.uint64(0xCBF29CE484222325)
        for j in range(length):
            value = (value ^ words[i + j]) * np.uint64(0x9E3779B97F4A7C15)
            value ^= value >> np.uint64(29)
        found[i] = value
    return found


@njit(cache=True, nogil=True)
def top_share(words: Hashes, lengths: Counts, length: int) -> float:
    """Return the share of characters in the most frequent n-gram, if it comes more than once."""
    found = hashes_of(words, length)
    order = np.argsort(found)
    best = 0
    i = 0
    while i < len(order):
        j = i
        while j < len(order) and found[order[j]] == found[order[i]]:
            j += 1
        if j - i > 1:
            first = order[i]
            best = max(best, (j - i) * lengths[first : first + length].sum())
        i = j
    return float(best / max(1, lengths.sum()))


@njit(cache=True, nogil=True)
def repeated_share(words: Hashes, lengths: Counts, length: int) -> float:
    """Return the share of characters in n-grams that the text had before; no character is counted twice."""
    found = hashes_of(words, length)
    order = np.argsort(found, kind="mergesort")  # stable: the first of equals is the earliest
    again = np.zeros(len(words), np.bool_)
    for i in range(1, len(order)):
        if found[order[i]] == found[order[i - 1]]:
            again[order[i] : order[i] + length] = True
    return float(lengths[again].sum() / max(1, lengths.sum()))


def repetition(words: list[str]) -> dict[str, float]:
    """Return {"top_2": share, ..., "repeated_5": share, ...} of the characters of a text that are repetition."""
    hashes = np.fromiter((hash(word) & 0xFFFFFFFFFFFFFFFF for word in words), np.uint64, len(words))
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    found = {f"top_{n}": float(top_share(hashes, lengths, n)) for n in TOP}
    return found | {f"repeated_{n}": float(repeated_share(hashes, lengths, n)) for n in REPEATED}


def repeated_lines(text: str) -> dict[str, float]:
    """Return the share of lines, and of characters, in lines that the text had before."""
    seen: set[str] = set()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    again = [line for line in lines if line in seen or seen.add(line)]  # type: ignore[func-returns-value]
    characters = sum(map(len, lines)) or 1
    return {"lines": len(again) / (len(lines) or 1), "line_characters": sum(map(len, again)) / characters}


def excess(text: str, words: list[str], limits: dict[str, Any]) -> str:
    """Return which limit a text exceeds and by how much, or ""."""
    found = repeated_lines(text) | repetition(words)
    over = ((name, found[name]) for name, most in limits.items() if found[name] > most)
    return next((f"{name}: {share:.0%} of the text" for name, share in over), "")
