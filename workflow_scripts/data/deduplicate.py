"""Keep one record of every group of duplicates among all shards: shared bands propose, exact similarity decides."""

import itertools
import mmap
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from ingot.curation.accounting import MIXED_BY, Books, Volume
from ingot.errors import InputError
from ingot.io.progress import progress
from ingot.io.records import Record
from ingot.text import minhash
from ingot.text.compiled_forms import normal_pairs
from ingot.text.signatures import Signatures

EXAMPLES = 20  # pairs shown in the report
TOGETHER = 10_000  # records whose places or normal forms are looked up in one call
Numbers = NDArray[np.int64]


class Lines:
    """The lines of many files, by place, without reading the rest."""

    def __init__(self, paths: Sequence[Path], signatures: Signatures) -> None:
        self.maps = [mapped(path) for path in paths]
        self.places = signatures.places()

    def each(self, indices: Numbers) -> Iterator[bytes]:
        """Yield the lines of records."""
        for some in np.array_split(indices, len(indices) // TOGETHER + 1):
            for shard, begin, end in zip(*(column[some].tolist() for column in self.places), strict=True):
                yield self.maps[shard][begin:end]

    def records(self, indices: Numbers) -> Iterator[Record]:
        """Yield records."""
        return map(orjson.loads, self.each(indices))


def mapped(path: Path) -> bytes | mmap.mmap:
    """Return the bytes of a file, read when they are looked at."""
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""


def preference(signatures: Signatures) -> Numbers:
    """Return the records in the order in which they are preferred: best quality, longest answer, least id.

    Copies with the same id are told apart by the hash of their line, so that the order of the input does not matter.
    """
    by = (
        signatures.column("line"),
        signatures.column("id"),
        -signatures.column("length"),
        -signatures.column("quality"),
    )
    return np.lexsort(by)


def exact_copies(signatures: Signatures, order: Numbers) -> Numbers:
    """Return for each record the preferred one with the same normal form: itself, if there is none better."""
    high, low = signatures.column("exact_high")[order], signatures.column("exact_low")[order]
    by_content = np.lexsort((low, high))  # stable: the preferred ones of equals come first
    high, low = high[by_content], low[by_content]
    first = np.ones(len(order), bool)
    first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    leaders = by_content[np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))]
    original = np.empty(len(order), np.int64)
    original[order[by_content]] = order[leaders]
    return original


def buckets(signatures: Signatures, ranked: Numbers) -> tuple[Numbers, Numbers]:
    """Return (place in `ranked`, bucket) of all records that share the key of a band with another one.

    A band at a time: only one is in memory.
    """
    members, numbers, count = [], [], 0
    for band in progress(range(signatures.bands), "buckets", "band", signatures.bands):
        keys = signatures.keys(band)[ranked]
        by_key = np.argsort(keys, kind="stable")
        keys = keys[by_key]
        begins = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        lengths = np.diff(np.append(begins, len(keys)))
        shared = np.repeat(lengths > 1, lengths)
        members.append(by_key[shared])
        numbers.append(count + np.repeat(np.arange((lengths > 1).sum()), lengths[lengths > 1]))
        count += int((lengths > 1).sum())
    return np.concatenate(members), np.concatenate(numbers)


def normal_texts(lines: Lines, indices: Numbers, folder: Path) -> tuple[minhash.Bytes, Numbers]:
    """Return the normal forms of records, one after the other in a temporary file, and where each begins.

    They are in a file, so that a corpus of which everything resembles everything does not fill the memory.
    """
    starts = np.zeros(len(indices) + 1, np.int64)
    with tempfile.TemporaryFile(dir=folder) as file:
        waiting = iter(progress(lines.records(indices), "compare", "record", len(indices)))
        done = 0
        while batch := list(itertools.islice(waiting, TOGETHER)):
            data, begins, _ = normal_pairs(batch)
            file.write(data)
            starts[done + 1 : done + 1 + len(batch)] = starts[done] + begins[1:]
            done += len(batch)
        file.flush()
        return np.memmap(file, np.uint8, "r") if starts[-1] else np.zeros(0, np.uint8), starts


def near_copies(
    signatures: Signatures, lines: Lines, ranked: Numbers, shingles: dict[str, Any], threshold: float, folder: Path
) -> tuple[Numbers, NDArray[np.float32], int]:
    """Return for each record of `ranked` the kept one that it repeats, or -1; their similarity; and pairs compared.

    Records are taken in order of preference, and one is dropped only if a *kept* one is at least `threshold` alike.
    So likeness does not chain: every dropped record is that close to a record that is kept, and no two kept records
    that share a band are. In other words: of the graph of near pairs, the lexicographically first maximal independent
    set is kept (Luby 1986), which depends on nothing but the records.
    """
    repeats, likeness = np.full(len(ranked), -1, np.int64), np.zeros(len(ranked), np.float32)
    members, numbers = buckets(signatures, ranked)
    if not len(members):
        return repeats, likeness, 0
    involved, places = np.unique(members, return_inverse=True)  # sorted: in order of preference
    by_member = np.argsort(places, kind="stable")
    first = np.searchsorted(places[by_member], np.arange(len(involved) + 1))
    rooms = np.concatenate([[0], np.cumsum(np.bincount(numbers))])
    texts, starts = normal_texts(lines, ranked[involved], folder)
    counts = signatures.column("count")[ranked[involved]].astype(np.int64)
    kind = minhash.KINDS[shingles["unit"]]
    of, likenesses, pairs = minhash.choose(
        texts, starts, counts, first, numbers[by_member], rooms, kind, shingles["length"], threshold
    )
    repeats[involved] = np.where(of >= 0, involved[of], -1)
    likeness[involved] = likenesses
    return repeats, likeness, int(pairs)


def volume(signatures: Signatures, chosen: NDArray[np.bool_]) -> Volume:
    """Return how much the chosen records are."""
    labels, codes = signatures.labels()
    _, begin, end = signatures.places()
    found = Volume()
    counts = np.bincount(codes[chosen], minlength=len(labels))
    sizes = np.bincount(codes[chosen], (end - begin)[chosen], minlength=len(labels))
    tokens = np.bincount(codes[chosen], signatures.column("tokens")[chosen], minlength=len(labels))
    for label, count, size, token in zip(labels, counts, sizes, tokens, strict=True):
        if count:
            found.add(label, int(size), int(count), int(token))
    return found


def moved_too_far(before: Volume, after: Volume, limits: dict[str, float]) -> list[str]:
    """Return one line for every share of the mix that changed by more than its limit."""
    found = []
    for name in MIXED_BY:
        for value, count in before.mix[name].items():
            old, new = count / before.records, after.mix[name][value] / max(1, after.records)
            if name in limits and abs(new - old) > limits[name]:
                found.append(f"{name} {value}: {old:.1%} -> {new:.1%}, at most {limits[name]:.1%} is allowed")
    return found


def examples(lines: Lines, dropped: Numbers, kept: Numbers, likeness: NDArray[np.float32]) -> list[dict[str, Any]]:
    """Return some duplicates beside what is kept instead."""
    return [
        {"jaccard": round(alike, 3), "kept": one, "dropped": other}
        for one, other, alike in zip(lines.records(kept), lines.records(dropped), likeness.tolist(), strict=True)
    ]


def deduplicate(
    records: list[Path],
    signed: list[Path],
    kept: Path,
    rejected: Path,
    report: Path,
    *,
    shingles: dict[str, Any],
    threshold: float,
    limits: dict[str, float],
) -> None:
    """Write one record of every group of duplicates, ordered by id, and list what each of the others repeats.

    The result is the same for any number of shards, any order of the input and any number of threads. InputError if
    a share of the mix moves by more than `limits` allow.
    """
    signatures = Signatures(signed)
    lines = Lines(records, signatures)
    order = preference(signatures)
    original = exact_copies(signatures, order)
    ranked = order[original[order] == order]
    repeats, likeness, pairs = near_copies(signatures, lines, ranked, shingles, threshold, kept.parent)
    nearest = np.zeros(len(order), np.float32)
    near = repeats >= 0
    original[ranked[near]], nearest[ranked[near]] = ranked[repeats[near]], likeness[near]
    original = original[original]  # a copy of one that is dropped repeats what is kept instead
    stays = original == np.arange(len(order))
    with Books(kept, rejected, report) as books:
        by_id = np.lexsort((order_of(order), signatures.column("id")))
        names = signatures.column("id")[original]
        columns = (column[by_id].tolist() for column in (stays, names, nearest))
        for line, stay, other, alike in progress(
            zip(lines.each(by_id), *columns, strict=True), "write", "record", len(order)
        ):
            if stay:
                books.keep_line(line)
            elif alike:
                evidence = f"{other:016x} (Jaccard {alike:.3f})"
                books.list_rejected(orjson.loads(line), "deduplicate", "near_duplicate", evidence)
            else:
                books.list_rejected(orjson.loads(line), "deduplicate", "exact_duplicate", f"{other:016x}")
        books.read, books.kept = volume(signatures, np.ones(len(order), bool)), volume(signatures, stays)
        clusters = Counter(Counter(original[~stays].tolist()).values())
        shown = ranked[np.flatnonzero(near)[:EXAMPLES]]
        books.details = {
            **signatures.shingles,
            "threshold": threshold,
            "pairs_compared": pairs,
            "clusters": {str(dropped + 1): count for dropped, count in sorted(clusters.items())},
            "examples": examples(lines, shown, original[shown], nearest[shown]),
        }
        if problems := moved_too_far(books.read, books.kept, limits):
            raise InputError(
                "removing duplicates changes the mix too much:\n  "
                + "\n  ".join(problems)
                + "\nlook at the duplicates, or raise deduplicate.limits"
            )


def order_of(order: Numbers) -> Numbers:
    """Return the rank of each record in an order."""
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    return ranks
