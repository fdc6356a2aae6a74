"""Weigh right answers against their cost, to find the threshold of the router that pays.

A row is a prompt. Its key `right` says of the base and of each modifier whether its answer is right. Costs are per
answer, in units that the user chooses in `router.costs`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.records import Record, read_records
from ingot.measuring.answers import checked
from ingot.measuring.significance import compare_pairs
from ingot.settings.router import Costs

Chances = dict[str, Any]


def joined(files: Sequence[Path], routes: Sequence[str]) -> list[Record]:
    """Join the answers of the base and of each modifier into one row per question.

    `files` hold the answers of `routes`, in the same order; the first route is the base. A row has the question, its
    domain and the confidence of the base. `answers` has the answer of each route, and `right` says whether it is right.
    Open questions are left out.

    Raises InputError if the files do not answer the same questions.
    """
    answers_of_routes = [checked(list(read_records(path))) for path in files]
    if len({tuple(answer["instruction"] for answer in answers) for answers in answers_of_routes}) > 1:
        raise InputError(f"{files[0]} and the others do not answer the same questions; build all of them again")
    return [
        {
            **{key: answers[0][key] for key in ("id", "instruction", "domain", "confidence")},
            "answers": dict(zip(routes, answers, strict=True)),
            "right": {route: answer["right"] for route, answer in zip(routes, answers, strict=True)},
        }
        for answers in zip(*answers_of_routes, strict=True)
    ]


def routes_at(chances: Chances, threshold: float) -> list[str]:
    """Choose a route for each of n prompts: the likeliest modifier if its chance reaches the threshold, else "base".

    `chances` are {modifier: probabilities [n] that a prompt needs it}.
    """
    import numpy as np

    names = list(chances)
    table = np.array([chances[name] for name in names])
    best = table.argmax(axis=0)
    return [names[k] if table[k, i] >= threshold else "base" for i, k in enumerate(best.tolist())]


def outcome(rows: Sequence[Record], routes: Sequence[str], costs: Costs) -> tuple[list[bool], float]:
    """Tell which answers of the chosen routes are right, and what an answer costs on average."""
    right = [bool(row["right"][route]) for row, route in zip(rows, routes, strict=True)]
    spent = sum(costs.base if route == "base" else costs.modifier for route in routes)
    return right, spent / max(1, len(rows))


def utility(right: Sequence[bool], cost: float, worth: float) -> float:
    """Compute what an answer is worth on average, minus its cost. A right answer is worth `worth`, a wrong one 0."""
    return worth * sum(right) / max(1, len(right)) - cost


def tune(rows: Sequence[Record], chances: Chances, costs: Costs, worth: float) -> list[dict[str, float]]:
    """Compute accuracy, cost and utility at every threshold from 0.05 to 0.95, in steps of 0.05."""
    table = []
    for step in range(1, 20):
        right, cost = outcome(rows, routes_at(chances, step / 20), costs)
        share = sum(right) / max(1, len(right))
        net = utility(right, cost, worth)
        table.append(
            {"threshold": step / 20, "accuracy": round(share, 4), "cost": round(cost, 4), "utility": round(net, 4)}
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
    """Compare two thresholds, A and B, on prompts that neither was chosen on. A stays unless B is shown to be better.

    B is taken if its utility is higher and one of two things holds. Either more of its answers are right, with a p
    value of at most `most_p` in McNemar's exact test. Or at least as many are right, and B is cheaper.
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
    """Compute the accuracy and the cost of several ways to route.

    Returns:
        `router`: a list over thresholds. `confidence`: a list over thresholds of the base's own confidence. Here the
        base answers first; if it is not sure enough, the likeliest modifier answers again, and both are paid for.
        `base`, always the base; `modifier`, always the likeliest modifier; `oracle`, the cheapest route that is right:
        single points. Choosing at random lies on the line between `base` and `modifier`.
    """
    likeliest = routes_at(chances, 0.0)
    both = costs.base + costs.modifier

    def point(right: Sequence[bool], cost: float) -> dict[str, float]:
        return {"accuracy": round(sum(right) / max(1, len(right)), 4), "cost": round(cost, 4)}

    def by_confidence(threshold: float) -> dict[str, float]:
        sure = [row["confidence"] >= threshold for row in rows]
        routes = ["base" if is_sure else modifier for is_sure, modifier in zip(sure, likeliest, strict=True)]
        sure_share = sum(sure) / max(1, len(sure))
        right, _ = outcome(rows, routes, costs)
        return {"threshold": round(threshold, 4), **point(right, sure_share * costs.base + (1 - sure_share) * both)}

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
