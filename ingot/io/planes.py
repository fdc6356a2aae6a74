"""Quantised weights in an order that packs better, and back without loss.

A block of weights is a scale or more, and then a code for each weight. What is alike is brought together: first the
scales of all blocks, byte by byte, then the codes. Where two of every four weights are zero, which two is written
apart from the codes of the others: 2.58 bits for the place and what is left of two codes, instead of four codes of
which two say nothing. An entropy coder such as zstd's packs that close to its entropy.
"""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ingot.errors import InputError

FOURS = 4
"""Weights that share a pattern of zeros."""
PLACES = list(itertools.combinations(range(FOURS), 2))
"""Where two of four weights that are not zero may be: the patterns, by number."""
TOGETHER = 3
"""Patterns that are written as one byte: 6 ** 3 of 256 values. One alone would waste a Huffman code's fractions."""
CHUNK = 1 << 22
"""Bytes of weights that are turned at a time."""


@dataclass(frozen=True)
class Layout:
    """How llama.cpp lays out a block of a type: ggml/src/ggml-common.h."""

    scales: int
    """Bytes before the codes."""
    codes: int
    """Bytes of codes."""
    zero: int
    """The code of a weight that is zero."""
    bits: int = 4
    """Of a code. Two codes of 4 bits share a byte: the low one is of a weight 16 places before that of the high one."""

    @property
    def block(self) -> int:
        """The bytes of a block."""
        return self.scales + self.codes


LAYOUTS = {
    "IQ4_XS": Layout(8, 128, 8),
    "IQ4_NL": Layout(2, 16, 8),
    "Q4_0": Layout(2, 16, 8),
    "Q8_0": Layout(2, 32, 0, 8),
}
SPARSE = " 2:4"
"""Ends the kind of a segment whose patterns of zeros are written apart."""
RAW = "raw"


def layout_of(kind: str) -> Layout:
    """Return the layout of a kind of segment. KeyError if there is no such kind."""
    return LAYOUTS[kind.removesuffix(SPARSE)]


def is_kind(kind: Any, count: Any) -> bool:
    """Tell whether a segment may have this kind and this many bytes."""
    if type(kind) is not str or type(count) is not int or count <= 0:
        return False
    if kind == RAW:
        return True
    return kind.removesuffix(SPARSE) in LAYOUTS and count % layout_of(kind).block == 0


def chunks_of(kind: str, count: int) -> Iterator[int]:
    """Cut the bytes of a segment into chunks that are turned one by one."""
    most = CHUNK if kind == RAW else CHUNK // layout_of(kind).block * layout_of(kind).block
    return (min(most, count - start) for start in range(0, count, most))


@functools.cache
def tables() -> dict[str, Any]:
    """Make what turns zeros into patterns and back."""
    import numpy as np

    pattern_of = np.full(16, 255, np.uint8)
    for zeros in range(16):  # bit i: weight i is zero
        fitting = [number for number, kept in enumerate(PLACES) if all(zeros >> i & 1 for i in {0, 1, 2, 3} - {*kept})]
        if fitting:
            pattern_of[zeros] = fitting[0]
    first, second = (np.array([places[i] for places in PLACES]) for i in range(2))
    together = itertools.product(range(len(PLACES)), repeat=TOGETHER)
    of_byte = np.array([three[::-1] for three in together], np.uint16) << 8
    return {"pattern_of": pattern_of, "first": first, "second": second, "patterns_of_byte": of_byte}


@functools.cache
def spread(zero: int) -> tuple[Any, Any]:
    """Make the tables [pattern, two codes] -> four codes of 4 bits in the low halves of four bytes, and in the high."""
    import numpy as np

    table = np.full((len(PLACES), 256, FOURS), zero, np.uint8)
    codes = np.arange(256)
    for number, (first, second) in enumerate(PLACES):
        table[number, :, first], table[number, :, second] = codes & 15, codes >> 4
    return table.reshape(-1, FOURS).view(np.uint32)[:, 0], (table << 4).reshape(-1, FOURS).view(np.uint32)[:, 0]


def fours_of(codes: Any, bits: int) -> Any:
    """Bring codes [blocks, bytes] into fours [fours, 4], a byte each: of 4 bits, all low ones first, then all high."""
    import numpy as np

    if bits == 8:
        return codes.reshape(-1, FOURS)
    return np.concatenate([codes & 15, codes >> 4]).reshape(-1, FOURS)


def zeros_of(fours: Any, zero: int) -> Any:
    """Return the pattern of zeros of each four as a number: bit i is 1 where weight i is zero."""
    import numpy as np

    return ((fours == zero) * np.array([1, 2, 4, 8], np.uint8)).sum(1, dtype=np.uint8)


def is_sparse(kind: str, data: Any) -> bool:
    """Tell whether two of every four weights in the bytes `data` of a segment are zero."""
    import numpy as np

    layout = layout_of(kind)
    codes = np.frombuffer(data, np.uint8).reshape(-1, layout.block)[:, layout.scales :]
    return bool((tables()["pattern_of"][zeros_of(fours_of(codes, layout.bits), layout.zero)] != 255).all())


def split(kind: str, data: Any) -> bytes:
    """Bring the bytes of whole blocks into an order that packs better."""
    import numpy as np

    if kind == RAW:
        return bytes(data)
    layout = layout_of(kind)
    blocks = np.frombuffer(data, np.uint8).reshape(-1, layout.block)
    scales, codes = blocks[:, : layout.scales].T.tobytes(), blocks[:, layout.scales :]
    if not kind.endswith(SPARSE):
        return scales + codes.tobytes()
    fours = fours_of(codes, layout.bits)
    patterns = tables()["pattern_of"][zeros_of(fours, layout.zero)]
    rows = np.arange(len(fours))
    first, second = (fours[rows, tables()[which][patterns]] for which in ("first", "second"))
    padded = np.concatenate([patterns, np.zeros(-len(patterns) % TOGETHER, np.uint8)]).reshape(-1, TOGETHER)
    places = padded @ np.array([len(PLACES) ** i for i in range(TOGETHER)], np.uint8)
    kept = (first | second << 4).tobytes() if layout.bits == 4 else first.tobytes() + second.tobytes()
    packed: bytes = scales + places.tobytes() + kept
    return packed


def split_size(kind: str, count: int) -> int:
    """Return how many bytes `split` makes of so many."""
    if kind == RAW or not kind.endswith(SPARSE):
        return count
    layout = layout_of(kind)
    blocks = count // layout.block
    fours = blocks * layout.codes * 8 // layout.bits // FOURS
    return blocks * layout.scales + -(-fours // TOGETHER) + fours * layout.bits * 2 // 8


def join(kind: str, data: bytes, count: int) -> bytes:
    """Bring bytes back into the order of the `count` bytes that `split` was given.

    InputError if `split` has not made them.
    """
    import numpy as np

    if kind == RAW:
        return data
    layout = layout_of(kind)
    blocks = count // layout.block
    found = np.frombuffer(data, np.uint8)
    whole = np.empty((blocks, layout.block), np.uint8)
    scales, rest = found[: blocks * layout.scales], found[blocks * layout.scales :]
    whole[:, : layout.scales] = scales.reshape(layout.scales, blocks).T
    if not kind.endswith(SPARSE):
        whole[:, layout.scales :] = rest.reshape(blocks, layout.codes)
        return whole.tobytes()
    fours = blocks * layout.codes * 8 // layout.bits // FOURS
    places, kept = rest[: -(-fours // TOGETHER)], rest[-(-fours // TOGETHER) :]
    if len(places) and places.max() >= len(PLACES) ** TOGETHER:
        raise InputError(f"a pattern of zeros is {places.max()}, and there are {len(PLACES) ** TOGETHER}")
    patterns = tables()["patterns_of_byte"].take(places, axis=0).reshape(-1)[:fours]  # times 256
    if layout.bits == 4:
        low, high = (patterns | kept).reshape(2, -1)
        for_low, for_high = spread(layout.zero)
        codes = for_low.take(low) | for_high.take(high)
        whole[:, layout.scales :] = codes.view(np.uint8).reshape(blocks, layout.codes)
    else:
        patterns >>= 8
        codes = np.full((fours, FOURS), layout.zero, np.uint8)
        rows = np.arange(fours)
        for which, values in zip(("first", "second"), kept.reshape(2, -1), strict=True):
            codes[rows, tables()[which][patterns]] = values
        whole[:, layout.scales :] = codes.reshape(blocks, layout.codes)
    return whole.tobytes()
