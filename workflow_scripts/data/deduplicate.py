"""Keep one record of every group of duplicates in all parts: shared bands propose pairs, exact similarity decides."""

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

from ingot.curation.accounting import Books, Volume
from ingot.errors import InputError
from ingot.io.progress import progress
from ingot.io.records import Record
from ingot.settings.data import Deduplicate, MixedBy, Shingles
from ingot.text import minhash
from ingot.text.compiled_forms import normal_pairs
from ingot.text.signatures import Signatures

EXAMPLES = 20  # pairs of duplicates shown in the report
SHOWN_PAIRS, LONGEST_SHOWN = 3, 80  # pairs, and characters of each, in a message
TOGETHER = 10_000  # records whose places or normal forms are looked up in one call
Numbers = NDArray[np.int64]


class Lines:
    """The lines of many files, of which only those that are asked for are read."""

    def __init__(self, paths: Sequence[Path], signatures: Signatures) -> None:
        self.maps = [mapped(path) for path in paths]
        self.places = signatures.places()

    def each(self, indices: Numbers) -> Iterator[bytes]:
        """Yield the lines of records, given their numbers."""
        for batch in np.array_split(indices, len(indices) // TOGETHER + 1):
            for part, begin, end in zip(*(column[batch].tolist() for column in self.places), strict=True):
                yield self.maps[part][begin:end]

    def records(self, indices: Numbers) -> Iterator[Record]:
        """Yield records, given their numbers."""
        return map(orjson.loads, self.each(indices))


def mapped(path: Path) -> bytes | mmap.mmap:
    """Return the bytes of a file, which are read only when they are looked at."""
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""


def preference(signatures: Signatures) -> Numbers:
    """Order the records by preference: best quality, then longest answer, then least id.

    Copies with the same id are ordered by the hash of their line, so that the order of the input does not matter.
    """
    by = (
        signatures.column("line"),
        signatures.column("id"),
        -signatures.column("length"),
        -signatures.column("quality"),
    )
    return np.lexsort(by)


def exact_copies(signatures: Signatures, order: Numbers) -> Numbers:
    """Find for each record the preferred one with the same normal form; that may be the record itself."""
    high, low = signatures.column("exact_high")[order], signatures.column("exact_low")[order]
    by_content = np.lexsort((low, high))  # stable: of equal records, the preferred one comes first
    high, low = high[by_content], low[by_content]
    first = np.ones(len(order), bool)
    first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    leaders = by_content[np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))]
    original = np.empty(len(order), np.int64)
    original[order[by_content]] = order[leaders]
    return original


def buckets(signatures: Signatures, ranked: Numbers) -> tuple[Numbers, Numbers]:
    """Return (place in `ranked`, bucket) for all records that share the key of a band with another record.

    Bands are looked at one after the other, so that only one is in memory.
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
    """Return the normal forms of records, one after the other, and where each begins.

    They are in a temporary file, so that they do not fill the memory even if all records of a corpus resemble each
    other.
    """
    starts = np.zeros(len(indices) + 1, np.int64)
    with tempfile.TemporaryFile(dir=folder) as file:
        waiting = iter(progress(lines.records(indices), "compare", "record", len(indices)))
        done = 0
        while batch := list(itertools.islice(waiting, TOGETHER)):
            data, begins, _ = normal_pairs(batch)
            file.write(data.data)
            starts[done + 1 : done + 1 + len(batch)] = starts[done] + begins[1:]
            done += len(batch)
        file.flush()
        return np.memmap(file, np.uint8, "r") if starts[-1] else np.zeros(0, np.uint8), starts


def near_copies(
    signatures: Signatures, lines: Lines, ranked: Numbers, shingles: Shingles, threshold: float, folder: Path
) -> tuple[Numbers, NDArray[np.float32], int]:
    """Return for each record of `ranked` the kept one that it repeats, or -1; their similarity; and the pairs compared.

    Records are taken in order of preference. A record is dropped only if a *kept* one is at least as similar as the
    threshold. So likeness does not chain: every dropped record is that near to a kept one, and no two kept records that
    share a band are. In other words, the lexicographically first maximal independent set of the graph of near pairs is
    kept (Luby 1986). It depends only on the records.
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
    kind, length = minhash.KINDS[shingles.unit], shingles.length
    repeated, likenesses, pairs = minhash.choose(
        texts, starts, counts, first, numbers[by_member], rooms, kind, length, threshold
    )
    repeats[involved] = np.where(repeated >= 0, involved[repeated], -1)
    likeness[involved] = likenesses
    return repeats, likeness, int(pairs)


def volume(signatures: Signatures, chosen: NDArray[np.bool_]) -> Volume:
    """Add up the chosen records."""
    labels, codes = signatures.labels()
    _, begin, end = signatures.places()
    total = Volume()
    counts = np.bincount(codes[chosen], minlength=len(labels))
    sizes = np.bincount(codes[chosen], (end - begin)[chosen], minlength=len(labels))
    tokens = np.bincount(codes[chosen], signatures.column("tokens")[chosen], minlength=len(labels))
    for label, count, size, token in zip(labels, counts, sizes, tokens, strict=True):
        if count:
            total.add(label, int(size), int(count), int(token))
    return total


def moved_too_far(before: Volume, after: Volume, limits: dict[MixedBy, float]) -> list[str]:
    """Return one line for every share of the mix that has moved by more than its limit."""
    lines = []
    for field, limit in limits.items():
        for value, count in before.mix[field].items():
            old, new = count / before.records, after.mix[field][value] / max(1, after.records)
            if abs(new - old) > limit:
                lines.append(f"{field} {value}: {old:.1%} -> {new:.1%}, at most {limit:.1%} is allowed")
    return lines


def examples(lines: Lines, dropped: Numbers, kept: Numbers, likeness: NDArray[np.float32]) -> list[dict[str, Any]]:
    """Return some duplicates, each beside the record that is kept instead."""
    pairs = zip(lines.records(kept), lines.records(dropped), likeness.tolist(), strict=True)
    return [
        {"jaccard": round(similarity, 3), "kept": kept_record, "dropped": dropped_record}
        for kept_record, dropped_record, similarity in pairs
    ]


def deduplicate(
    records: list[Path],
    signed: list[Path],
    kept: Path,
    rejected: Path,
    report: Path,
    *,
    settings: Deduplicate,
    shingles: Shingles,
    threshold: float,
) -> None:
    """Write one record of every group of duplicates, ordered by id; list each of the others with what it repeats.

    The result is the same for any number of parts, any order of the input and any number of threads. InputError if a
    share of the mix moves by more than its limit.
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
    original = original[original]  # a copy of a dropped record repeats the one that is kept instead
    stays = original == np.arange(len(order))
    with Books(kept, rejected, report) as books:
        by_id = np.lexsort((order_of(order), signatures.column("id")))
        names = signatures.column("id")[original]
        columns = (column[by_id].tolist() for column in (stays, names, nearest))
        for line, stay, kept_id, similarity in progress(
            zip(lines.each(by_id), *columns, strict=True), "write", "record", len(order)
        ):
            if stay:
                books.keep_line(line)
            elif similarity:
                evidence = f"{kept_id:016x} (Jaccard {similarity:.3f})"
                books.list_rejected(orjson.loads(line), "deduplicate", "near_duplicate", evidence)
            else:
                books.list_rejected(orjson.loads(line), "deduplicate", "exact_duplicate", f"{kept_id:016x}")
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
        if problems := moved_too_far(books.read, books.kept, settings.limits):
            pairs_shown = map(pair_of, books.details["examples"][:SHOWN_PAIRS])
            raise InputError(
                "removing duplicates changes the mix too much:\n  "
                + "\n  ".join([*problems, *pairs_shown])
                + "\nif these are no duplicates, as where questions are made of a template, raise `sign.threshold`;"
                " else raise `deduplicate.limits`"
            )


def pair_of(example: dict[str, Any]) -> str:
    """Show how a duplicate ends, beside what is kept instead of it: questions of one template differ there."""
    dropped, kept = (example[name]["instruction"][-LONGEST_SHOWN:] for name in ("dropped", "kept"))
    return f"{dropped!r} repeats {kept!r} (Jaccard {example['jaccard']})"


def order_of(order: Numbers) -> Numbers:
    """Return the rank of each record in an order."""
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    return ranks
