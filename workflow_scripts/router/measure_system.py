"""Measure the whole system (router, base and modifiers) on the benchmark, and compare it with each of its parts."""

from pathlib import Path
from typing import Any

from ingot.io.records import Record, read_records, write_json, write_records
from ingot.measuring.answers import checked, domain_shares, exact_match
from ingot.measuring.significance import compare_pairs, forgetting, proportion
from ingot.routing.calibrators import calibration_error, reliability
from ingot.routing.router import Router, is_right
from ingot.routing.thresholds import curves, joined, routes_at
from ingot.settings.router import Costs


def share(rows: list[Record], route: str) -> dict[str, float]:
    """Compute the share of prompts that a route answers right, with its interval."""
    return proportion(sum(row["right"][route] for row in rows), len(rows))


def system_shares(rows: list[Record], routes: list[str]) -> dict[str, dict[str, float]]:
    """Compute the shares of right answers by the system and by a perfect router, and the share of right decisions."""
    pairs = list(zip(rows, routes, strict=True))
    return {
        "system": proportion(sum(row["right"][route] for row, route in pairs), len(rows)),
        "oracle": proportion(sum(any(row["right"].values()) for row in rows), len(rows)),
        "right_decisions": proportion(sum(is_right(route, row["right"]) for row, route in pairs), len(rows)),
    }


def sureness(rows: list[Record], routes: list[str], chances: dict[str, Any]) -> list[dict[str, float]]:
    """Compare how sure the router is of its decisions with how often they are right, in bins.

    A prompt needs a modifier if the base answers it wrong and the modifier answers it right. The confidence in a
    modifier is the probability that it is needed. The confidence in the base is 1 minus the highest of these.
    `chances` are {modifier: probabilities [rows]}.
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


def best_constant(rows: list[Record], right: list[bool]) -> dict[str, Any]:
    """Compare the system's answers with those of the best single route, be it the base or a modifier."""
    routes = rows[0]["right"]
    best = max(routes, key=lambda route: sum(row["right"][route] for row in rows))
    return {"route": best, **share(rows, best), **compare_pairs(right, [row["right"][best] for row in rows])}


def system_row(row: Record, route: str, chances: dict[str, float]) -> Record:
    """Make the row of the system's answer: that of the chosen route, with the chances of all modifiers."""
    return {**row["answers"][route], "route": route, "chances": {name: round(c, 4) for name, c in chances.items()}}


def modifier_figures(rows: list[Record], domain: str) -> dict[str, Any]:
    """Compare a modifier with the base alone, on the questions of its domain."""
    in_domain = [row for row in rows if row["domain"] == domain]
    right = {route: [row["right"][route] for row in in_domain] for route in ("base", domain)}
    return {
        "base": share(in_domain, "base"),
        "modifier": share(in_domain, domain),
        **compare_pairs(right[domain], right["base"]),
    }


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
    """Write the report of the system, and its answer to every question of the benchmark.

    `answers` are the files of the served model and of the modifiers of `domains`, in this order. `uncompressed` is the
    file of the model that compression started from, which is called `uncompressed_model`.
    """
    rows = joined(answers, ["base", *domains])
    trained_router = Router(router)
    chances = trained_router.probabilities([row["instruction"] for row in rows])
    routes = routes_at(chances, trained_router.threshold)
    answered = [
        system_row(row, route, {name: float(chance[i]) for name, chance in chances.items()})
        for i, (row, route) in enumerate(zip(rows, routes, strict=True))
    ]
    base_alone = [row["answers"]["base"] for row in rows]
    before_compression = checked(list(read_records(uncompressed)))
    right = [row["right"] for row in answered]
    bins = sureness(rows, routes, chances)
    figures: dict[str, Any] = {
        **system_shares(rows, routes),
        "base": share(rows, "base"),
        "uncompressed_model": uncompressed_model,
        "uncompressed": proportion(sum(row["right"] for row in before_compression), len(before_compression)),
        "exact_match": exact_match(answered),
        "forgetting": forgetting(domain_shares(base_alone), domain_shares(answered)),
        "versus_base": compare_pairs(right, [row["right"] for row in base_alone]),
        "versus_constant": best_constant(rows, right),
        "versus_uncompressed": compare_pairs(right, [row["right"] for row in before_compression]),
        "expected_calibration_error": round(calibration_error(bins), 4),
        "reliability": bins,
        "threshold": trained_router.threshold,
        "curves": curves(rows, chances, costs),
        "routes": {route: routes.count(route) for route in ("base", *domains)},
        "modifiers": {domain: modifier_figures(rows, domain) for domain in domains},
    }
    figures["oracle_gap"] = round(100 * (figures["oracle"]["share"] - figures["system"]["share"]), 2)
    write_records(system, answered)
    write_json(report, figures)
