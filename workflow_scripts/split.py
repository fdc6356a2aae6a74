"""Split records by the hash of their prompt, so that a prompt is on one side only, in every build and every clone."""

from collections import Counter
from pathlib import Path

from lib.records import InputError, Record, read_records, write_json, write_records
from lib.text import unit_hash


def part_of(prompt: str, shares: dict[str, float]) -> str:
    """Return the part that a prompt belongs to: train, valid, routing or test, in this order along the unit hash."""
    edge = 1 - sum(shares.values())
    position = unit_hash(prompt)
    if position < edge:
        return "train"
    for part, share in shares.items():
        edge += share
        if position < edge:
            return part
    return list(shares)[-1]


def split(
    records: Path,
    train: Path,
    valid: Path,
    routing: Path,
    test: Path,
    report: Path,
    *,
    shares: dict[str, float],
    domains: list[str],
) -> None:
    """Write the four parts: to learn from, to choose checkpoints by, to train the router on, and to measure with.

    Raises InputError, before anything is trained, where one of the `domains` that get a modifier has no records.
    """
    parts: dict[str, list[Record]] = {"train": [], "valid": [], "routing": [], "test": []}
    for record in read_records(records):
        parts[part_of(record["instruction"], shares)].append(record)
    for name in ("train", "valid"):
        if absent := set(domains) - {record["metadata"]["domain"] for record in parts[name]}:
            raise InputError(
                f"no record of the {name} part has domain {', '.join(sorted(absent))}, which `modifiers.domains` lists;"
                f" the data have {sorted({r['metadata']['domain'] for part in parts.values() for r in part})}"
            )
    paths = {"train": train, "valid": valid, "routing": routing, "test": test}
    for name, path in paths.items():
        write_records(path, parts[name])
    domains = {
        name: dict(sorted(Counter(r["metadata"]["domain"] for r in part).items())) for name, part in parts.items()
    }
    counts = {name: len(part) for name, part in parts.items()}
    write_json(report, {"records": sum(counts.values()), "parts": counts, "domains": domains})
