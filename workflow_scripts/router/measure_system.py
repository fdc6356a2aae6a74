"""Measure the whole system, router before base and modifiers, on the benchmark, against each part of it alone."""

from pathlib import Path
from typing import Any

from ingot.io.records import Record, read_records, write_json, write_records
from ingot.measuring.answers import domain_shares, exact_match
from ingot.measuring.significance import compare_pairs, forgetting, proportion
from ingot.routing.calibrators import calibration_error, reliability
from ingot.routing.router import Router, is_right
from ingot.routing.thresholds import curves, joined, routes_at
from ingot.settings.router import Costs


def share(rows: list[Record], route: str) -> dict[str, float]:
    """Return the share of prompts that a route answers right, with its interval."""
    return proportion(sum(row["right"][route] for row in rows), len(rows))


def system_shares(rows: list[Record], routes: list[str]) -> dict[str, dict[str, float]]:
    """Return the share of right answers of the system, of a perfect router, and of right decisions."""
    pairs = list(zip(rows, routes, strict=True))
    return {
        "system": proportion(sum(row["right"][route] for row, route in pairs), len(rows)),
        "oracle": proportion(sum(any(row["right"].values()) for row in rows), len(rows)),
        "right_decisions": proportion(sum(is_right(route, row["right"]) for row, route in pairs), len(rows)),
    }


def sureness(rows: list[Record], routes: list[str], chances: dict[str, Any]) -> list[dict[str, float]]:
    """Return the reliability of the router's confidence in its decisions against whether they were needed.

    The confidence of a modifier is its probability of being needed, which is that the base fails and it does not; of
    the base, the chance that none is.
    """
    import numpy as np

    confidence = [
        chances[route][i] if route != "base" else 1 - max(float(chance[i]) for chance in chances.values())
        for i, route in enumerate(routes)
    ]
    truth = [
        is_right(route, row["right"]) and (route == "base" or not row["right"]["base"])
        for row, route in zip(rows, routes, strict=True)
    ]
    return reliability(np.array(confidence), np.array(truth, dtype=float))


def system_row(row: Record, route: str, chances: dict[str, float]) -> Record:
    """Return the answer that the system gives to a question: that of the chosen route, with the chance of each."""
    return {**row["answers"][route], "route": route, "chances": {name: round(c, 4) for name, c in chances.items()}}


def measure_system(
    answers: list[Path],
    router: Path,
    uncompressed: Path,
    report: Path,
    system: Path,
    *,
    domains: list[str],
    costs: Costs,
    uncompressed_model: str,
) -> None:
    """Write the report of the system, and what it answers to every question of the benchmark.

    `answers` are those of the served model and of the modifiers of `domains`, in this order; `uncompressed` are those
    of the model that compression started from, called `uncompressed_model`.
    """
    rows = joined(answers, ["base", *domains])
    chooser = Router(router)
    chances = chooser.probabilities([row["instruction"] for row in rows])
    routes = routes_at(chances, chooser.threshold)
    answered = [
        system_row(row, route, {name: float(chance[i]) for name, chance in chances.items()})
        for i, (row, route) in enumerate(zip(rows, routes, strict=True))
    ]
    alone = [row["answers"]["base"] for row in rows]
    before = list(read_records(uncompressed))
    right = [row["right"] for row in answered]
    bins = sureness(rows, routes, chances)
    figures: dict[str, Any] = {
        **system_shares(rows, routes),
        "base": share(rows, "base"),
        "uncompressed_model": uncompressed_model,
        "uncompressed": proportion(sum(row["right"] for row in before), len(before)),
        "exact_match": exact_match(answered),
        "forgetting": forgetting(domain_shares(alone), domain_shares(answered)),
        "versus_base": compare_pairs(right, [row["right"] for row in alone]),
        "versus_uncompressed": compare_pairs(right, [row["right"] for row in before]),
        "expected_calibration_error": round(calibration_error(bins), 4),
        "reliability": bins,
        "threshold": chooser.threshold,
        "curves": curves(rows, chances, costs),
        "routes": {route: routes.count(route) for route in ("base", *domains)},
        "modifiers": {},
    }
    figures["oracle_gap"] = round(100 * (figures["oracle"]["share"] - figures["system"]["share"]), 2)
    for domain in domains:
        own = [row for row in rows if row["domain"] == domain]
        paired = compare_pairs([row["right"][domain] for row in own], [row["right"]["base"] for row in own])
        figures["modifiers"][domain] = {"base": share(own, "base"), "modifier": share(own, domain), **paired}
    write_records(system, answered)
    write_json(report, figures)
