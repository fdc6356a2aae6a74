"""Split records by the hash of their prompt, so that a prompt is on the same side in every build and every clone."""

import contextlib
import itertools
from collections import Counter
from pathlib import Path

from ingot.curation.accounting import parsed
from ingot.errors import InputError
from ingot.io.progress import progress
from ingot.io.records import write_json
from ingot.settings.data import Shares, Split
from ingot.text.checkers import OPEN
from ingot.text.forms import unit_hash


def edges_of(shares: Shares) -> dict[str, float]:
    """Return where along the unit hash each side ends: train, valid, routing and test, in this order."""
    edges = {"train": 1 - sum(share for _, share in shares)}
    for side, share in shares:
        edges[side] = list(edges.values())[-1] + share
    return edges


def side_of(prompt: str, edges: dict[str, float], offset: float = 0) -> str:
    """Return the side that a prompt is on, if the sides are moved by `offset` along the circle of hashes."""
    position = (unit_hash(prompt) - offset) % 1
    return next((side for side, edge in edges.items() if position < edge), list(edges)[-1])


def split(
    records: Path,
    train: Path,
    valid: Path,
    routing: Path,
    test: Path,
    report: Path,
    *,
    settings: Split,
    domains: list[str],
    least_failures: int,
    router: bool,
) -> None:
    """Write the four sides: to learn from, to choose checkpoints by, to train the router on, and to measure with.

    Raises InputError, before anything is trained, if one of the `domains` that get a modifier has no records, or too
    few with an answer that a checker can check. A modifier learns from at least so many failures.
    """
    paths = {"train": train, "valid": valid, "routing": routing, "test": test}
    edges = edges_of(settings.shares)
    by_domain: dict[str, Counter[str]] = {side: Counter() for side in paths}
    checkable: dict[str, Counter[str]] = {side: Counter() for side in paths}
    with contextlib.ExitStack() as stack:
        files = {side: stack.enter_context(open(path, "wb")) for side, path in paths.items()}
        for line, record in progress(parsed(records), "split", "record"):
            side = side_of(record["instruction"], edges, settings.offset)
            files[side].write(line)
            by_domain[side][record["metadata"]["domain"]] += 1
            checkable[side][record["metadata"]["domain"]] += record["metadata"]["checker"] != OPEN
    for side in ("train", "valid"):
        if absent := set(domains) - set(by_domain[side]):
            raise InputError(
                f"no record of the {side} part has domain {', '.join(sorted(absent))}, which `modifiers.domains` lists;"
                f" the data have {sorted(set().union(*by_domain.values()))}"
            )
    needed = {"train": least_failures, "valid": 1, "routing": int(router)}
    for (side, least), domain in itertools.product(needed.items(), domains):
        if (found := checkable[side][domain]) < least:
            lower = "lower `modifiers.collect_failures.least_failures`"
            remedy = lower if side == "train" else f"raise `split.shares.{side}`"
            raise InputError(
                f"the {side} part has {found} records of domain {domain} whose answers a checker can check, and its"
                f" modifier needs {least}; add records, {remedy}, or leave the domain out of"
                " `modifiers.domains`"
            )
    counts = {side: counter.total() for side, counter in by_domain.items()}
    sorted_domains = {side: dict(sorted(counter.items())) for side, counter in by_domain.items()}
    write_json(report, {"records": sum(counts.values()), "sides": counts, "domains": sorted_domains})
