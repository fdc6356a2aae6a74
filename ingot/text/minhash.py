"""Find texts that repeat others: MinHash signatures, their bands, and exact Jaccard similarity, compiled by numba.

Texts are in their normal form, as UTF-8. Shingles are those of `ingot.text.forms.shingles`, as 64-bit hashes. Two
different shingles of a pair of texts have the same hash with a probability below 1e-12, so similarities that are
computed from hashes are exact in practice.
"""

import numpy as np
from numba import njit, uint32, uint64
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Points = NDArray[np.uint32]
Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]

KINDS = {"characters": 0, "words": 1}
SPACE, UNDERSCORE, FIRST_NOT_ASCII = 32, 95, 128
# Odd constants of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) and of FNV-1a.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
FNV_OFFSET, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


def banding(permutations: int, threshold: float, recall: float) -> tuple[int, int]:
    """Choose (bands, rows) so that a pair of similarity `threshold` is proposed with at least the probability `recall`.

    A pair of Jaccard similarity J shares a band with probability 1 - (1 - J^rows)^bands (Leskovec et al., Mining of
    Massive Datasets, 3.4). Rows are as many as possible: more rows propose fewer pairs that must be compared in vain.
    """
    for rows in range(permutations, 0, -1):
        bands = permutations // rows
        if bands > 1 and 1 - (1 - threshold**rows) ** bands >= recall:
            return bands, rows
    return permutations, 1


def permutations_of(count: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Draw `count` permutations x -> a x + b of the 32-bit numbers. Return the factors a, which are odd, and the b."""
    random = np.random.default_rng(1)
    factors, summands = random.integers(0, 2**32, (2, count), dtype=np.uint32)
    return factors | np.uint32(1), summands


def join(texts: list[bytes]) -> tuple[Bytes, Places]:
    """Join texts into one array of bytes. Return it, and where each text begins and the last one ends [texts + 1]."""
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=starts[1:])
    return np.frombuffer(b"".join(texts), np.uint8), starts


@njit(cache=True, nogil=True)
def longest_of(starts: Places) -> int:
    """Return the length of the longest text in bytes."""
    longest = 0
    for i in range(len(starts) - 1):
        longest = max(longest, starts[i + 1] - starts[i])
    return longest


@njit(cache=True, nogil=True, inline="always")
def mixed(value: np.uint64) -> np.uint64:
    """Mix a 64-bit number so that each bit depends on all bits of `value` (the finaliser of SplitMix64)."""
    value = (value ^ (value >> uint64(30))) * MIX_1
    value = (value ^ (value >> uint64(27))) * MIX_2
    return value ^ (value >> uint64(31))


@njit(cache=True, nogil=True)
def decode(data: Bytes, points: Points) -> int:
    """Write the code points of valid UTF-8 to `points`. Return how many there are."""
    count = 0
    i = 0
    while i < len(data):
        first = uint32(data[i])
        more = 0 if first < 0x80 else 1 if first < 0xE0 else 2 if first < 0xF0 else 3
        point = first if more == 0 else first & uint32(0x3F >> more)
        for j in range(1, more + 1):
            point = (point << uint32(6)) | (uint32(data[i + j]) & uint32(0x3F))
        points[count] = point
        count += 1
        i += more + 1
    return count


@njit(cache=True, nogil=True, inline="always")
def in_word(point: int) -> bool:
    """Tell whether a code point of a text in normal form belongs to a word. Spaces and ASCII signs do not."""
    digit = 48 <= point <= 57
    letter = 97 <= point <= 122 or 65 <= point <= 90
    return digit or letter or point == UNDERSCORE or point >= FIRST_NOT_ASCII


@njit(cache=True, nogil=True)
def hash_words(points: Points, count: int, hashes: Hashes) -> int:
    """Write a hash per word or sign to `hashes`. Return how many there are."""
    words = 0
    i = 0
    while i < count:
        if points[i] == SPACE:
            i += 1
            continue
        value = (FNV_OFFSET ^ uint64(points[i])) * FNV_PRIME
        if in_word(points[i]):
            while i + 1 < count and in_word(points[i + 1]):
                i += 1
                value = (value ^ uint64(points[i])) * FNV_PRIME
        hashes[words] = mixed(value)
        words += 1
        i += 1
    return words


@njit(cache=True, nogil=True)
def hash_shingles(data: Bytes, kind: int, length: int, points: Points, hashes: Hashes) -> int:
    """Write the hashes of all shingles of a text to the front of `hashes`. Return how many there are, with repeats.

    `points` and `hashes` must have room for as many values as the text has bytes.
    """
    units = decode(data, points)
    if kind == 1:
        units = hash_words(points, units, hashes)
    else:
        for i in range(units):
            hashes[i] = uint64(points[i])
    if units == 0:
        return 0
    count = max(1, units - length + 1)
    for i in range(count):
        value = FNV_OFFSET
        for j in range(i, min(i + length, units)):
            value = (value ^ hashes[j]) * GOLDEN
            value ^= value >> uint64(29)
        hashes[i] = mixed(value) | uint64(1)  # never 0, because 0 marks a free place in a table
    return count


@njit(cache=True, nogil=True)
def table_for(count: int) -> int:
    """Choose the length of a hash table for `count` values: a power of two, so that it is at most half full."""
    length = 16
    while length < 2 * count:
        length *= 2
    return length


@njit(cache=True, nogil=True)
def place_in(table: Hashes, value: np.uint64) -> np.uint64:
    """Find the place of a value in a hash table. If the value is not in it, find the free place where it belongs."""
    last = uint64(len(table) - 1)
    place = (value >> uint64(20)) & last
    while table[place] != 0 and table[place] != value:
        place = (place + uint64(1)) & last
    return place


@njit(cache=True, nogil=True)
def keep_distinct(hashes: Hashes, count: int, table: Hashes) -> int:
    """Move the distinct values to the front of `hashes`, and return how many there are.

    `table` is emptied first, and holds the distinct values afterwards.
    """
    table[:] = 0
    distinct = 0
    for i in range(count):
        value = hashes[i]
        place = place_in(table, value)
        if table[place] == 0:
            table[place] = value
            hashes[distinct] = value
            distinct += 1
    return distinct


@njit(cache=True, nogil=True)
def sign(
    data: Bytes,
    starts: Places,
    kind: int,
    length: int,
    factors: Points,
    summands: Points,
    bands: int,
    rows: int,
) -> tuple[Hashes, Points]:
    """Compute the keys of the bands [bands, texts], and count the distinct shingles [texts].

    The signature of a text is the least value among its shingles, for each permutation (Broder, On the resemblance and
    containment of documents, 1997). A key is a hash of `rows` values of the signature. A text without shingles gets
    keys that no other text has.
    """
    texts = len(starts) - 1
    keys = np.empty((bands, texts), np.uint64)
    counts = np.zeros(texts, np.uint32)
    longest = longest_of(starts)
    points, hashes = np.empty(longest + 1, np.uint32), np.empty(longest + 1, np.uint64)
    table = np.empty(table_for(longest), np.uint64)
    least = np.empty(len(factors), np.uint32)
    for i in range(texts):
        count = hash_shingles(data[starts[i] : starts[i + 1]], kind, length, points, hashes)
        count = keep_distinct(hashes, count, table[: table_for(count)])
        counts[i] = count
        least[:] = uint32(0xFFFFFFFF)
        for j in range(count):
            x = uint32(hashes[j] >> uint64(32))
            for k in range(len(factors)):
                least[k] = min(least[k], uint32(factors[k] * x + summands[k]))
        for band in range(bands):
            value = uint64(band) if count else mixed(uint64(i) + GOLDEN)
            for k in range(band * rows, band * rows + rows):
                value = mixed((value ^ uint64(least[k])) * GOLDEN)
            keys[band, i] = value
    return keys, counts


@njit(cache=True, nogil=True)
def count_shared(hashes: Hashes, count: int, table: Hashes, matched: Places, mark: int) -> int:
    """Count the distinct values of `hashes` that are in `table`. Their places are set to `mark` in `matched`."""
    shared = 0
    for i in range(count):
        place = place_in(table, hashes[i])
        if table[place] != 0 and matched[place] != mark:
            matched[place] = mark
            shared += 1
    return shared


@njit(cache=True, nogil=True)
def choose(
    data: Bytes,
    starts: Places,
    counts: Places,
    first_bucket: Places,
    bucket_of: Places,
    bucket_starts: Places,
    kind: int,
    length: int,
    threshold: float,
) -> tuple[Places, NDArray[np.float32], int]:
    """Decide for one text after the other, in order of preference, whether it repeats a text that is kept.

    `data` and `starts` are texts as `join` returns them. They have `counts` distinct shingles [texts] of `kind` and
    `length`. Text i is in the buckets bucket_of[first_bucket[i] : first_bucket[i + 1]]. Texts that share a bucket are
    compared. `bucket_starts` [buckets + 1] says where the members of each bucket are stored; its last value is the end.

    Returns:
        For each text, the kept text that it repeats, or -1; the similarity of the two, from 0 to 1; and how many pairs
        were compared.
    """
    texts = len(starts) - 1
    repeats, likeness = np.full(texts, -1, np.int64), np.zeros(texts, np.float32)
    members, filled = np.empty(bucket_starts[-1], np.int64), np.zeros(len(bucket_starts) - 1, np.int64)
    compared_with = np.full(texts, -1, np.int64)
    longest = longest_of(starts)
    points = np.empty(longest + 1, np.uint32)
    hashes, kept_hashes = np.empty(longest + 1, np.uint64), np.empty(longest + 1, np.uint64)
    table = np.empty(table_for(longest), np.uint64)
    matched = np.full(len(table), -1, np.int64)
    pairs = 0
    for i in range(texts):
        table_length = 0  # the table of text i is filled only when the first comparison needs it
        buckets = bucket_of[first_bucket[i] : first_bucket[i + 1]]
        for bucket in buckets:
            for kept in members[bucket_starts[bucket] : bucket_starts[bucket] + filled[bucket]]:
                # Skip a pair that was compared before, and one whose sizes differ too much to reach the threshold.
                smaller, larger = min(counts[i], counts[kept]), max(counts[i], counts[kept])
                if compared_with[kept] == i or smaller < threshold * larger:
                    continue
                compared_with[kept] = i
                pairs += 1
                if table_length == 0:
                    count = hash_shingles(data[starts[i] : starts[i + 1]], kind, length, points, hashes)
                    table_length = table_for(count)
                    keep_distinct(hashes, count, table[:table_length])
                    matched[:table_length] = -1
                count = hash_shingles(data[starts[kept] : starts[kept + 1]], kind, length, points, kept_hashes)
                shared = count_shared(kept_hashes, count, table[:table_length], matched[:table_length], kept)
                jaccard = shared / (counts[i] + counts[kept] - shared)
                if jaccard >= threshold:
                    repeats[i], likeness[i] = kept, jaccard
                    break
            if repeats[i] >= 0:
                break
        if repeats[i] < 0:
            for bucket in buckets:
                members[bucket_starts[bucket] + filled[bucket]] = i
                filled[bucket] += 1
    return repeats, likeness, pairs
