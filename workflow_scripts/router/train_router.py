"""Train and calibrate the router on which models answered the routing prompts right, and tune its threshold."""

from pathlib import Path
from typing import Any

from ingot.io.records import Record, write_json
from ingot.routing import calibrators, classifier, thresholds
from ingot.routing.features import Features
from ingot.routing.token_vectors import TokenVectors
from ingot.settings.router import Router
from ingot.text.forms import unit_hash

MOST_P = 0.05  # another threshold than the preset's is taken only if its gain has at most this p value


def tenths(rows: list[Record]) -> tuple[list[Record], list[Record], list[Record]]:
    """Split rows by the hash of the prompt: 80 % to train on, 10 % to calibrate and tune with, 10 % held out."""
    parts: tuple[list[Record], list[Record], list[Record]] = ([], [], [])
    for row in rows:
        position = unit_hash(f"router {row['instruction']}")
        parts[0 if position < 0.8 else 1 if position < 0.9 else 2].append(row)
    return parts


def needs(row: Record, modifier: str) -> bool:
    """Tell whether a prompt needs a modifier: the base answers it wrong, and the modifier answers it right."""
    return not row["right"]["base"] and bool(row["right"][modifier])


def train_calibrated(x: list[Any], y: list[Any], seed: int) -> tuple[classifier.Decision, Any, dict[str, float]]:
    """Train a decision on the first part of features [n, size] and answers [n], and calibrate it with the second.

    Returns:
        The decision; its probabilities for the first part, from layers that had not seen the prompt [n]; and the
        log-loss of every kind of calibration.
    """
    decision = classifier.train_decision(x[0], y[0], seed)
    logits = classifier.unseen_logits(x[0], y[0], seed)
    decision.calibrator, losses = calibrators.choose(logits, y[0], (decision.logits(x[1]), y[1]))
    return decision, decision.calibrator(logits), losses


def held_out_figures(decision: classifier.Decision, x: Any, y: Any, threshold: float) -> dict[str, Any]:
    """Measure a decision on features [n, size] and answers [n] that it was neither trained nor calibrated on."""
    probability = decision.probability(x)
    bins = calibrators.reliability(probability, y)
    return {
        "held_out_accuracy": round(float(((probability >= threshold) == y).mean()), 4),
        "held_out_ece": round(calibrators.calibration_error(bins), 4),
        "held_out_bins": bins,
        "needed": int(y.sum()),
    }


def train_router(
    answers: list[Path],
    embedding: list[Path],
    router: Path,
    report: Path,
    *,
    domains: list[str],
    settings: Router,
    seed: int,
) -> None:
    """Write the router, and a report of how well it does on prompts that it was neither trained nor calibrated on.

    `answers` are the answers to the routing prompts, in a file of the served model and one for the modifier of each of
    `domains`, in this order. `embedding` is a folder for ingot.routing.token_vectors, which some of the features are
    made with, or [].

    The threshold is that of the settings, unless another one is better on prompts that it was not tuned on. See
    ingot.routing.thresholds.better.
    """
    import numpy as np

    parts = tenths(thresholds.joined(answers, ["base", *domains]))
    classes = [next((domain for domain in domains if needs(row, domain)), "base") for row in parts[0]]
    prompts = [row["instruction"] for row in parts[0]]
    vectors = TokenVectors.reduced(embedding[0], prompts, settings.dimensions) if embedding else None
    learned = Features.learn(prompts, classes, settings.features, vectors)
    x = [learned.matrix([row["instruction"] for row in part]) for part in parts]
    decisions, details = {}, {}
    unseen: dict[str, Any] = {}
    for domain in domains:
        y = [np.array([needs(row, domain) for row in part], dtype=int) for part in parts]
        decision, unseen[domain], losses = train_calibrated(x, y, seed)
        decisions[domain] = decision
        details[domain] = {
            "calibration": decision.calibrator.kind,
            "log_loss_by_calibration": losses,
            "parameters": decision.parameters,
            **held_out_figures(decision, x[2], y[2], settings.threshold),
        }
    table = thresholds.tune(parts[0], unseen, settings.costs, settings.worth)
    tuned = max(table, key=lambda row: (row["utility"], row["threshold"]))["threshold"]
    chances = {domain: decision.probability(x[1]) for domain, decision in decisions.items()}
    test = thresholds.better(parts[1], chances, (settings.threshold, tuned), settings.costs, settings.worth, MOST_P)
    threshold = test[test["taken"]]["threshold"]
    classifier.save(router, learned, decisions, threshold=threshold)
    counts = dict(zip(("train", "calibrate", "held_out"), map(len, parts), strict=True))
    choice = {"chosen": threshold, "tuned": tuned, "test": test, "table": table}
    write_json(report, {"prompts": counts, "decisions": details, "threshold": choice})
