"""What routes are worth: who answers right, at what cost, and which threshold pays.

A row is a prompt with `right`, which says of the base and of each modifier whether its answer is right. The cost of an
answer of the base is 1; that of a modifier is relative to it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.records import Record, read_records
from ingot.measuring.significance import compare_pairs
from ingot.settings.router import Costs

Chances = dict[str, Any]


def joined(files: Sequence[Path], routes: Sequence[str]) -> list[Record]:
    """Return one row per question of the answers of all `routes`: of the base and of each modifier, in this order.

    It has the question, its domain, under `answers` what each route answers, under `right` who is right, and the
    confidence of the base.
    """
    asked = [list(read_records(path)) for path in files]
    if len({tuple(answer["instruction"] for answer in answers) for answers in asked}) > 1:
        raise InputError(f"{files[0]} and the others do not answer the same questions; build all of them again")
    return [
        {
            **{key: answers[0][key] for key in ("id", "instruction", "domain", "confidence")},
            "answers": dict(zip(routes, answers, strict=True)),
            "right": {route: answer["right"] for route, answer in zip(routes, answers, strict=True)},
        }
        for answers in zip(*asked, strict=True)
    ]


def routes_at(chances: Chances, threshold: float) -> list[str]:
    """Return "base", or the likeliest modifier where its chance [n] reaches the threshold, for every prompt."""
    import numpy as np

    names = list(chances)
    table = np.array([chances[name] for name in names])
    best = table.argmax(axis=0)
    return [names[k] if table[k, i] >= threshold else "base" for i, k in enumerate(best.tolist())]


def outcome(rows: Sequence[Record], routes: Sequence[str], costs: Costs) -> tuple[list[bool], float]:
    """Return which answers are right, and what one costs on average."""
    right = [bool(row["right"][route]) for row, route in zip(rows, routes, strict=True)]
    spent = sum(costs.base if route == "base" else costs.modifier for route in routes)
    return right, spent / max(1, len(rows))


def utility(right: Sequence[bool], cost: float, worth: float) -> float:
    """Return what the answers are worth on average, less their cost; a right one is worth `worth`."""
    return worth * sum(right) / max(1, len(right)) - cost


def tune(rows: Sequence[Record], chances: Chances, costs: Costs, worth: float) -> list[dict[str, float]]:
    """Return accuracy, cost and utility at every threshold in steps of 0.05."""
    table = []
    for step in range(1, 20):
        right, cost = outcome(rows, routes_at(chances, step / 20), costs)
        share = sum(right) / max(1, len(right))
        gained = utility(right, cost, worth)
        table.append(
            {"threshold": step / 20, "accuracy": round(share, 4), "cost": round(cost, 4), "utility": round(gained, 4)}
        )
    return table


def better(
    rows: Sequence[Record],
    chances: Chances,
    thresholds: tuple[float, float],
    costs: Costs,
    worth: float,
    most_p: float,
) -> dict[str, Any]:
    """Compare two thresholds, A and B, on prompts on which neither was chosen; B must show that it is better.

    B is taken if it is worth more and either its answers are right more often by McNemar's exact test (`most_p`), or no
    fewer are right and it is cheaper. Else A stays: a change that may be chance is not worth one.
    """
    (right_a, cost_a), (right_b, cost_b) = (outcome(rows, routes_at(chances, t), costs) for t in thresholds)
    paired = compare_pairs(right_b, right_a)
    worth_more = utility(right_b, cost_b, worth) > utility(right_a, cost_a, worth)
    surer = paired["gain"] > 0 and paired["p_value"] <= most_p
    cheaper = sum(right_b) >= sum(right_a) and cost_b < cost_a
    taken = worth_more and (surer or cheaper)
    return {
        "a": {"threshold": thresholds[0], "cost": round(cost_a, 4)},
        "b": {"threshold": thresholds[1], "cost": round(cost_b, 4)},
        "b_against_a": paired,
        "taken": "b" if taken else "a",
    }


def curves(rows: Sequence[Record], chances: Chances, costs: Costs) -> dict[str, Any]:
    """Return accuracy against cost of the ways to route.

    `router` and `confidence` are lists over their thresholds. By confidence, the base answers first, and the likeliest
    modifier answers again where the base was not sure enough: both are paid for. `base`, `modifier` (the likeliest one,
    always) and `oracle` (the cheapest that is right) are single points; between the first two lies choosing at random.
    """
    likeliest = routes_at(chances, 0.0)
    both = costs.base + costs.modifier

    def point(right: Sequence[bool], cost: float) -> dict[str, float]:
        return {"accuracy": round(sum(right) / max(1, len(right)), 4), "cost": round(cost, 4)}

    def by_confidence(threshold: float) -> dict[str, float]:
        sure = [row["confidence"] >= threshold for row in rows]
        routes = ["base" if one else other for one, other in zip(sure, likeliest, strict=True)]
        kept = sum(sure) / max(1, len(sure))
        right, _ = outcome(rows, routes, costs)
        return {"threshold": round(threshold, 4), **point(right, kept * costs.base + (1 - kept) * both)}

    confidences = sorted({row["confidence"] for row in rows})
    steps = [confidences[len(confidences) * i // 20] for i in range(20)] if confidences else []
    cheapest = [
        "base" if row["right"]["base"] else next((name for name in chances if row["right"][name]), "base")
        for row in rows
    ]
    return {
        "router": [
            {"threshold": step / 20, **point(*outcome(rows, routes_at(chances, step / 20), costs))}
            for step in range(21)
        ],
        "confidence": [by_confidence(step) for step in [*steps, 1.01]],
        "base": point(*outcome(rows, ["base"] * len(rows), costs)),
        "modifier": point(*outcome(rows, likeliest, costs)),
        "oracle": point(*outcome(rows, cheapest, costs)),
    }
