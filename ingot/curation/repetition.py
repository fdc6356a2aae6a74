"""Measure how repetitive a text is, as Gopher does (Rae et al. 2021, arXiv:2112.11446, table A1); compiled by numba."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Counts = NDArray[np.int64]
TOP = (2, 3, 4)
"""Lengths of n-grams of which the most frequent one counts."""
REPEATED = (5, 6, 7, 8, 9, 10)
"""Lengths of n-grams of which every repetition counts."""


@njit(cache=True, nogil=True)
def hashes_of(words: Hashes, length: int) -> Hashes:
    """Hash each n-gram of `length` words, given a hash per word."""
    count = max(0, len(words) - length + 1)
    hashes = np.empty(count, np.uint64)
    for i in range(count):
        value = np.uint64(0xCBF29CE484222325)
        for j in range(length):
            value = (value ^ words[i + j]) * np.uint64(0x9E3779B97F4A7C15)
            value ^= value >> np.uint64(29)
        hashes[i] = value
    return hashes


@njit(cache=True, nogil=True)
def top_share(words: Hashes, lengths: Counts, length: int) -> float:
    """Return the share of characters in the most frequent n-gram; 0 if none comes more than once."""
    hashes = hashes_of(words, length)
    order = np.argsort(hashes)
    best = 0
    i = 0
    while i < len(order):
        j = i
        while j < len(order) and hashes[order[j]] == hashes[order[i]]:
            j += 1
        if j - i > 1:
            first = order[i]
            best = max(best, (j - i) * lengths[first : first + length].sum())
        i = j
    return float(best / max(1, lengths.sum()))


@njit(cache=True, nogil=True)
def repeated_share(words: Hashes, lengths: Counts, length: int) -> float:
    """Return the share of characters in n-grams that came before in the text. No character is counted twice."""
    hashes = hashes_of(words, length)
    order = np.argsort(hashes, kind="mergesort")  # stable: of equal n-grams, the earliest comes first
    again = np.zeros(len(words), np.bool_)
    for i in range(1, len(order)):
        if hashes[order[i]] == hashes[order[i - 1]]:
            again[order[i] : order[i] + length] = True
    return float(lengths[again].sum() / max(1, lengths.sum()))


def repetition(words: list[str]) -> dict[str, float]:
    """Return the share of characters that are repetition, by each measure: {"top_2": share, ..., "repeated_5": ...}."""
    hashes = np.fromiter((hash(word) & 0xFFFFFFFFFFFFFFFF for word in words), np.uint64, len(words))
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    top = {f"top_{n}": float(top_share(hashes, lengths, n)) for n in TOP}
    return top | {f"repeated_{n}": float(repeated_share(hashes, lengths, n)) for n in REPEATED}


def repeated_lines(text: str) -> dict[str, float]:
    """Return the share of lines that came before in the text, and the share of characters in such lines."""
    seen: set[str] = set()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    again = [line for line in lines if line in seen or seen.add(line)]  # type: ignore[func-returns-value]
    characters = sum(map(len, lines)) or 1
    return {"lines": len(again) / (len(lines) or 1), "line_characters": sum(map(len, again)) / characters}


def excess(text: str, words: list[str], limits: dict[str, float]) -> str:
    """Name the first limit that a text exceeds, and the share that it has; "" if it keeps all limits."""
    shares = repeated_lines(text) | repetition(words)
    exceeded = ((name, shares[name]) for name, most in limits.items() if shares[name] > most)
    return next((f"{name}: {share:.0%} of the text" for name, share in exceeded), "")
