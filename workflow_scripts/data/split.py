"""Split records by the hash of their prompt, so that a prompt is on one side only, in every build and every clone."""

import contextlib
from collections import Counter
from pathlib import Path

from ingot.curation.accounting import parsed
from ingot.errors import InputError
from ingot.io.progress import progress
from ingot.io.records import write_json
from ingot.text.forms import unit_hash


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
    paths = {"train": train, "valid": valid, "routing": routing, "test": test}
    found: dict[str, Counter[str]] = {name: Counter() for name in paths}
    with contextlib.ExitStack() as stack:
        files = {name: stack.enter_context(open(path, "wb")) for name, path in paths.items()}
        for line, record in progress(parsed(records), "split", "record"):
            part = part_of(record["instruction"], shares)
            files[part].write(line)
            found[part][record["metadata"]["domain"]] += 1
    for name in ("train", "valid"):
        if absent := set(domains) - set(found[name]):
            raise InputError(
                f"no record of the {name} part has domain {', '.join(sorted(absent))}, which `modifiers.domains` lists;"
                f" the data have {sorted(set().union(*found.values()))}"
            )
    counts = {name: counter.total() for name, counter in found.items()}
    sorted_domains = {name: dict(sorted(counter.items())) for name, counter in found.items()}
    write_json(report, {"records": sum(counts.values()), "parts": counts, "domains": sorted_domains})
