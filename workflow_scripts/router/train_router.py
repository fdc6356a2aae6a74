"""Train and calibrate the router on who answered the routing prompts right, and tune its threshold."""

from pathlib import Path
from typing import Any

from ingot.io.records import Record, write_json
from ingot.routing import calibrators, classifier, thresholds
from ingot.routing.features import Features
from ingot.routing.token_vectors import TokenVectors
from ingot.settings.router import Router
from ingot.text.forms import unit_hash

MOST_P = 0.05  # from which another threshold than that of the preset is taken


def tenths(rows: list[Record]) -> tuple[list[Record], list[Record], list[Record]]:
    """Split by prompt hash: 80 % to train on, 10 % to choose calibration and threshold with, 10 % held out."""
    parts: tuple[list[Record], list[Record], list[Record]] = ([], [], [])
    for row in rows:
        position = unit_hash(f"router {row['instruction']}")
        parts[0 if position < 0.8 else 1 if position < 0.9 else 2].append(row)
    return parts


def needs(row: Record, modifier: str) -> bool:
    """Tell whether a prompt needs a modifier: the base fails and the modifier does not."""
    return not row["right"]["base"] and bool(row["right"][modifier])


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
    """Write the router and what it does on the prompts that it was neither trained nor calibrated on.

    `answers` are those of the served model and of the modifiers of `domains`, in this order, to the routing prompts.
    `embedding` is [] or a folder for ingot.routing.token_vectors, of which some of the features are made. Another
    threshold than that of the settings is taken if it is better, on prompts on which it was not tuned: see
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
        decision = classifier.train_decision(x[0], y[0], seed)
        logits = classifier.unseen_logits(x[0], y[0], seed)
        decision.calibrator, losses = calibrators.choose(logits, y[0], (decision.logits(x[1]), y[1]))
        decisions[domain], unseen[domain] = decision, decision.calibrator(logits)
        probability = decision.probability(x[2])
        bins = calibrators.reliability(probability, y[2])
        details[domain] = {
            "calibration": decision.calibrator.kind,
            "log_loss_by_calibration": losses,
            "parameters": decision.parameters,
            "held_out_accuracy": round(float(((probability >= settings.threshold) == y[2]).mean()), 4),
            "held_out_ece": round(calibrators.calibration_error(bins), 4),
            "held_out_bins": bins,
            "needed": int(y[2].sum()),
        }
    table = thresholds.tune(parts[0], unseen, settings.costs, settings.worth)
    tuned = max(table, key=lambda row: (row["utility"], row["threshold"]))["threshold"]
    chances = {domain: decision.probability(x[1]) for domain, decision in decisions.items()}
    test = thresholds.better(parts[1], chances, (settings.threshold, tuned), settings.costs, settings.worth, MOST_P)
    chosen = test[test["taken"]]["threshold"]
    classifier.save(router, learned, decisions, threshold=chosen)
    counts = dict(zip(("train", "calibrate", "held_out"), map(len, parts), strict=True))
    choice = {"chosen": chosen, "tuned": tuned, "test": test, "table": table}
    write_json(report, {"prompts": counts, "decisions": details, "threshold": choice})
