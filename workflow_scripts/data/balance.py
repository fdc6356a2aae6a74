"""Sample the records to a wanted mix and number; list those that are left over."""

import itertools
import math
from collections import Counter
from pathlib import Path

from ingot.curation.accounting import Books, parsed
from ingot.errors import InputError
from ingot.io.progress import progress
from ingot.io.records import Record
from ingot.settings.data import Balance
from ingot.text.forms import unit_hash

FIELDS = ("domain", "difficulty")
Cell = tuple[str, ...]
"""A domain and a difficulty."""
Wishes = dict[str, dict[str, float] | None]
"""The wanted share of each value, per field; None keeps the mix as it is."""


def wanted_shares(wishes: Wishes, records: Counter[Cell]) -> dict[Cell, float]:
    """Return the share of each cell in the wanted mix, without cells that have none.

    Within each value of a field with wishes, the other field keeps the mix that it has there.
    """
    shares = {}
    values = [sorted({cell[i] for cell in records}) for i in range(len(FIELDS))]
    wished = [i for i, field in enumerate(FIELDS) if wishes[field] is not None]
    for cell in itertools.product(*values):
        share = math.prod((wishes[FIELDS[i]] or {}).get(cell[i], 0.0) for i in wished)
        alike = sum(count for peer, count in records.items() if all(peer[i] == cell[i] for i in wished))
        if alike and share * records[cell]:
            shares[cell] = share * records[cell] / alike
    return shares


def quotas(records: Counter[Cell], wishes: Wishes, most: int | None) -> dict[Cell, int]:
    """Return how many records of each cell to take: as many as the scarcest cell allows, and at most `most` in all."""
    shares = wanted_shares(wishes, records)
    for i, field in enumerate(FIELDS):
        wanted = {value for value, share in (wishes[field] or {}).items() if share}
        if absent := wanted - {cell[i] for cell in records}:
            raise InputError(f"balance.mix.{field}: no record has {', '.join(sorted(absent))}")
    scale = sum(shares.values())
    total = min(records[cell] / (share / scale) for cell, share in shares.items())
    total = min(total, most) if most is not None else total
    return {cell: min(records[cell], math.floor(total * share / scale + 0.5)) for cell, share in shares.items()}


def cell_of(record: Record) -> Cell:
    """Return the cell of the mix that a record is in."""
    return tuple(record["metadata"][field] for field in FIELDS)


def precedence(record: Record, weights: dict[str, float]) -> float:
    """Return the number by which records are ranked; the largest are taken, which is a sample by weight.

    The key is u^(1/w), with u from the hash of the content (Efraimidis and Spirakis 2006). So the sample is the same in
    every build, and a larger sample contains a smaller one.
    """
    weight = weights.get(record["metadata"]["source"], 1.0)
    return math.log(unit_hash(record["id"]) + 2**-65) / weight


def choose(records: Path, settings: Balance, wishes: Wishes, weights: dict[str, float]) -> set[str]:
    """Choose the ids of the records to take."""
    ranked: dict[Cell, list[tuple[float, str]]] = {}
    for _, record in progress(parsed(records), "look", "record"):
        ranked.setdefault(cell_of(record), []).append((precedence(record, weights), record["id"]))
    limits = quotas(Counter({cell: len(keys) for cell, keys in ranked.items()}), wishes, settings.most)
    best = (sorted(keys, reverse=True)[: limits.get(cell, 0)] for cell, keys in ranked.items())
    return {identity for keys in best for _, identity in keys}


def balance(
    records: Path,
    kept: Path,
    rejected: Path,
    report: Path,
    *,
    settings: Balance,
    weights: dict[str, float],
) -> None:
    """Write the records of the wanted mix, in the order that they come in, and list the others.

    Everything is kept if neither a mix nor a number is wanted. With twice the weight of its source, a record is twice
    as likely to be taken.
    """
    wishes: Wishes = settings.mix.model_dump()
    takes_all = settings.most is None and not any(wishes.values())
    chosen = set() if takes_all else choose(records, settings, wishes, weights)
    with Books(kept, rejected, report) as books:
        for line, record in progress(parsed(records), "balance", "record"):
            if takes_all or record["id"] in chosen:
                books.keep(record, line)
            else:
                books.reject(record, "balance", "not_in_the_mix", "/".join(cell_of(record)))
        books.details = {"most": settings.most, "mix": wishes}
