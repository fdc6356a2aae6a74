"""Sample the records to a wanted mix and number; what is left over is listed."""

import itertools
import math
from collections import Counter
from pathlib import Path

from ingot.curation.accounting import Books, parsed
from ingot.errors import InputError
from ingot.io.progress import progress
from ingot.io.records import Record
from ingot.text.forms import unit_hash

FIELDS = ("domain", "difficulty")
Cell = tuple[str, ...]


def wanted_shares(mix: dict[str, dict[str, float] | None], records: Counter[Cell]) -> dict[Cell, float]:
    """Return the share of each (domain, difficulty) in the wanted mix.

    A field without wishes keeps the mix that it has among the records with each value of the other.
    """
    shares = {}
    total = records.total()
    for cell in itertools.product(*({one[i] for one in records} for i in range(len(FIELDS)))):
        share = 1.0
        given: dict[int, str] = {}
        for i, field in enumerate(FIELDS):
            wishes = mix.get(field)
            if wishes is not None:
                share *= wishes.get(cell[i], 0.0)
                given[i] = cell[i]
        alike = sum(count for one, count in records.items() if all(one[i] == value for i, value in given.items()))
        shares[cell] = share * records[cell] / (alike if given else total) if alike else 0.0
    return {cell: share for cell, share in shares.items() if share}


def quotas(records: Counter[Cell], mix: dict[str, dict[str, float] | None], most: int | None) -> dict[Cell, int]:
    """Return how many records of each cell to take: as many as the scarcest allows, and at most `most` in all."""
    shares = wanted_shares(mix, records)
    for field, wishes in ((name, mix.get(name)) for name in FIELDS):
        at = FIELDS.index(field)
        if absent := {value for value, share in (wishes or {}).items() if share} - {cell[at] for cell in records}:
            raise InputError(f"balance.mix.{field}: no record has {', '.join(sorted(absent))}")
    scale = sum(shares.values())
    total = min(records[cell] / (share / scale) for cell, share in shares.items())
    total = min(total, most) if most is not None else total
    return {cell: min(records[cell], math.floor(total * share / scale + 0.5)) for cell, share in shares.items()}


def cell_of(record: Record) -> Cell:
    """Return the cell of the mix that a record is in."""
    return tuple(record["metadata"][field] for field in FIELDS)


def precedence(record: Record, weights: dict[str, float]) -> float:
    """Return a number by which the largest are taken: a weighted sample without replacement.

    The key is u^(1/w) with u from the hash of the content (Efraimidis and Spirakis 2006), so the choice is the same
    in every build, and a larger sample contains a smaller one.
    """
    weight = weights.get(record["metadata"]["source"], 1.0)
    return math.log(unit_hash(record["id"]) + 2**-65) / weight


def balance(
    records: Path,
    kept: Path,
    rejected: Path,
    report: Path,
    *,
    most: int | None,
    mix: dict[str, dict[str, float] | None],
    weights: dict[str, float],
) -> None:
    """Write the records of the wanted mix, in the order they come in, and list the others.

    `most` is the number of records to take in all, or None; `mix` the wanted shares by domain and by difficulty:
    without both, and without `most`, everything is kept. Of `weights`, by source, twice as much makes a record twice as
    likely to be taken where not all are.
    """
    everything = most is None and not any(mix.values())
    chosen: set[str] | None = None
    if not everything:
        ranked: dict[Cell, list[tuple[float, str]]] = {}
        for _, record in progress(parsed(records), "look", "record"):
            ranked.setdefault(cell_of(record), []).append((precedence(record, weights), record["id"]))
        limits = quotas(Counter({cell: len(found) for cell, found in ranked.items()}), mix, most)
        best = (sorted(found, reverse=True)[: limits.get(cell, 0)] for cell, found in ranked.items())
        chosen = {one for found in best for _, one in found}
    with Books(kept, rejected, report) as books:
        for line, record in progress(parsed(records), "balance", "record"):
            if chosen is None or record["id"] in chosen:
                books.keep(record, line)
            else:
                books.reject(record, "balance", "not_in_the_mix", "/".join(cell_of(record)))
        books.details = {"most": most, "mix": mix}
