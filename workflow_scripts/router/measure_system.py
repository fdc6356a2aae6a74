"""Measure the whole system, router before base and modifiers, on the benchmark, against each part of it alone."""

from pathlib import Path
from typing import Any

from ingot.io.records import Record, read_json, read_records, write_json, write_records
from ingot.measuring.answers import domain_shares, exact_match
from ingot.measuring.significance import compare_pairs, forgetting, proportion
from ingot.routing.calibrators import calibration_error, reliability
from ingot.routing.router import Router, is_right
from ingot.routing.thresholds import curves, joined, routes_at


def share(rows: list[Record], route: str) -> dict[str, float]:
    """Return the share of prompts that a route answers right, with its interval."""
    return proportion(sum(row["right"][route] for row in rows), len(rows))


def system(rows: list[Record], routes: list[str]) -> dict[str, dict[str, float]]:
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


def measure_system(
    labels: list[Path],
    router: Path,
    adapter: list[Path],
    report: Path,
    decisions: Path,
    *,
    domains: list[str],
    costs: dict[str, float],
) -> None:
    """Write the report of the system and its decision on every item.

    `labels` are what `label` wrote of the base and of the modifiers of `domains`, in this order; `adapter` is
    [report, answers] of the adapter's measurement on the same benchmark.
    """
    rows = joined(labels, ["base", *domains])
    chooser = Router(router)
    chances = chooser.probabilities([row["prompt"] for row in rows])
    routes = routes_at(chances, chooser.threshold)
    found: dict[str, Any] = {**system(rows, routes), "base": share(rows, "base")}
    found["adapter"] = read_json(adapter[0])["exact_match"]["all"]
    right = [row["right"][route] for row, route in zip(rows, routes, strict=True)]
    answered = [{**row, "right": mark} for row, mark in zip(rows, right, strict=True)]
    alone = [{**row, "right": row["right"]["base"]} for row in rows]
    found["exact_match"] = exact_match(answered)
    found["forgetting"] = forgetting(domain_shares(alone), domain_shares(answered))
    found["oracle_gap"] = round(100 * (found["oracle"]["share"] - found["system"]["share"]), 2)
    found["versus_base"] = compare_pairs(right, [row["right"] for row in alone])
    found["versus_adapter"] = compare_pairs(right, [row["right"] for row in read_records(adapter[1])])
    bins = sureness(rows, routes, chances)
    found["expected_calibration_error"] = round(calibration_error(bins), 4)
    found["reliability"] = bins
    found["threshold"] = chooser.threshold
    found["curves"] = curves(rows, chances, costs)
    found["routes"] = {route: routes.count(route) for route in ("base", *domains)}
    found["modifiers"] = {}
    for domain in domains:
        own = [row for row in rows if row["domain"] == domain]
        paired = compare_pairs([row["right"][domain] for row in own], [row["right"]["base"] for row in own])
        found["modifiers"][domain] = {"base": share(own, "base"), "modifier": share(own, domain), **paired}
    write_records(decisions, ({**row, "route": route} for row, route in zip(rows, routes, strict=True)))
    write_json(report, found)
