"""Drop exact and near duplicates: MinHash LSH proposes, exact Jaccard similarity decides."""

from collections.abc import Iterator
from pathlib import Path

from lib.accounting import close_books, rejection
from lib.progress import progress
from lib.records import Record, read_records
from lib.text import jaccard, normalise, shingles

Signature = tuple[Record, set[str]]


def banding(permutations: int, threshold: float, recall: float) -> tuple[int, int]:
    """Return (bands, rows) with the longest rows that still propose a pair at `threshold` with probability `recall`.

    A pair of Jaccard similarity J shares a band with probability 1 - (1 - J^rows)^bands (Leskovec et al., Mining of
    Massive Datasets, 3.4). Longer rows mean fewer false candidates to verify.
    """
    for rows in range(permutations, 0, -1):
        bands = permutations // rows
        if bands > 1 and 1 - (1 - threshold**rows) ** bands >= recall:
            return bands, rows
    return permutations, 1


def preference(record: Record) -> tuple[float, int, str]:
    """Return a sort key that puts the record to keep first: best quality, then longest answer, then smallest id."""
    quality = record["metadata"]["quality_score"]
    return (-(quality if quality is not None else 0.0), -len(record["response"]), record["id"])


def similar_pairs(
    records: list[Record], size: int, permutations: int, threshold: float, recall: float
) -> Iterator[tuple[Record, Record | None, float]]:
    """Yield (record, kept record that it repeats or None, Jaccard similarity), in order of preference.

    A record is a duplicate only of a record that is kept, so similarity never chains from one to the next: every
    dropped record is within `threshold` of a kept one, and no two kept records that were proposed are.
    """
    from datasketch import MinHash, MinHashLSH

    bands = banding(permutations, threshold, recall)
    index = MinHashLSH(num_perm=permutations, params=bands)
    kept: dict[str, Signature] = {}
    ordered = sorted(records, key=preference)
    grams = [shingles(f"{r['instruction']} {r['response']}", size) for r in ordered]
    signatures = MinHash.generator([[g.encode() for g in s] for s in grams], num_perm=permutations, seed=1)
    for record, words, signature in zip(progress(ordered, "deduplicate", "record"), grams, signatures, strict=True):
        found = [(jaccard(words, kept[key][1]), key) for key in sorted(index.query(signature))]
        likeness, key = max(found, default=(0.0, ""), key=lambda pair: pair[0])
        if likeness >= threshold:
            yield record, kept[key][0], likeness
        else:
            name = record["id"]
            index.insert(name, signature)
            kept[name] = record, words
            yield record, None, 0.0


def deduplicate(
    records: Path,
    kept: Path,
    rejected: Path,
    report: Path,
    *,
    shingle: int,
    permutations: int,
    threshold: float,
    recall: float,
) -> None:
    """Write one record of every group of duplicates, in the order of the input, and list what each other repeats."""
    everything = list(read_records(records))
    refused: list[Record] = []
    first: dict[tuple[str, str], Record] = {}
    for record in sorted(everything, key=preference):
        key = normalise(record["instruction"]), normalise(record["response"])
        if key in first:
            refused.append(rejection(record, "exact_duplicate", first[key]["id"]))
        else:
            first[key] = record
    survivors = {}
    for record, original, likeness in similar_pairs(list(first.values()), shingle, permutations, threshold, recall):
        if original:
            refused.append(rejection(record, "near_duplicate", f"{original['id']} (Jaccard {likeness:.3f})"))
        else:
            survivors[record["id"]] = record
    # Exact copies share an id; `pop` lets only the first of them through.
    passed = [found for record in everything if (found := survivors.pop(record["id"], None))]
    bands, rows = banding(permutations, threshold, recall)
    close_books(len(everything), passed, refused, (kept, rejected, report), bands=bands, rows=rows)
