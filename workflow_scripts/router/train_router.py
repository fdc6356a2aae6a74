"""Train and calibrate the router on which models answered the routing prompts right, and tune its threshold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ingot.io.records import Record, write_json
from ingot.routing import calibrators, classifier, thresholds
from ingot.routing.features import Features
from ingot.routing.token_vectors import TokenVectors
from ingot.settings.router import Router
from ingot.text.forms import unit_hash

TRAINED_ON = 0.8  # share of the prompts
FOLDS = 4
MOST_P = 0.05  # another threshold than the preset's is taken only if its gain has at most this p value


def parts_of(rows: list[Record]) -> dict[str, list[Record]]:
    """Split rows by the hash of the prompt. Nothing is judged by the prompts that it was chosen on.

    80 % to `train` on, and a third of the rest each to choose how to `calibrate`, to `judge` another threshold, and
    `held_out` for the report.
    """
    parts: dict[str, list[Record]] = {"train": [], "calibrate": [], "judge": [], "held_out": []}
    rest = list(parts)[1:]
    for row in rows:
        position = unit_hash(f"router {row['instruction']}")
        parts["train" if position < TRAINED_ON else rest[int((position - TRAINED_ON) / (1 - TRAINED_ON) * 3)]].append(
            row
        )
    return parts


def needs(row: Record, modifier: str) -> bool:
    """Tell whether a prompt needs a modifier: the base answers it wrong, and the modifier answers it right."""
    return not row["right"]["base"] and bool(row["right"][modifier])


def classes_of(rows: list[Record], domains: list[str]) -> list[str]:
    """Say of each prompt which modifier it needs, or "base"."""
    return [next((domain for domain in domains if needs(row, domain)), "base") for row in rows]


def truths(rows: list[Record], domain: str) -> Any:
    """Say of each of n prompts whether it needs the modifier of a domain, as 0 or 1 [n]."""
    import numpy as np

    return np.array([needs(row, domain) for row in rows], dtype=int)


def unseen_logits(
    rows: list[Record], domains: list[str], learn: Callable[[list[Record]], Features], seed: int
) -> dict[str, Any]:
    """Compute a logit for each row by features and layers that were learned without it (cross-validation).

    So a calibrator can be fitted to all n rows. `learn` makes features of rows. Returns {domain: logits [n]}.
    """
    import numpy as np

    fold: Any = np.arange(len(rows)) % FOLDS
    logits = {domain: np.zeros(len(rows)) for domain in domains}
    for i in range(FOLDS):
        seen = [row for row, its_fold in zip(rows, fold, strict=True) if its_fold != i]
        left_out = [row["instruction"] for row, its_fold in zip(rows, fold, strict=True) if its_fold == i]
        features = learn(seen)
        x, x_left_out = features.matrix([row["instruction"] for row in seen]), features.matrix(left_out)
        for domain in domains:
            decision = classifier.train_decision(x, truths(seen, domain), seed)
            logits[domain][fold == i] = decision.logits(x_left_out)
    return logits


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
    parts = parts_of(thresholds.joined(answers, ["base", *domains]))
    prompts = {name: [row["instruction"] for row in rows] for name, rows in parts.items()}
    vectors = TokenVectors.reduced(embedding[0], prompts["train"], settings.dimensions) if embedding else None

    def learn(rows: list[Record]) -> Features:
        texts = [row["instruction"] for row in rows]
        return Features.learn(texts, classes_of(rows, domains), settings.features, vectors)

    learned = learn(parts["train"])
    x = {name: learned.matrix(texts) for name, texts in prompts.items()}
    logits = unseen_logits(parts["train"], domains, learn, seed)
    decisions, details = {}, {}
    unseen: dict[str, Any] = {}
    for domain in domains:
        y = {name: truths(rows, domain) for name, rows in parts.items()}
        decision = classifier.train_decision(x["train"], y["train"], seed)
        held_back = (decision.logits(x["calibrate"]), y["calibrate"])
        decision.calibrator, losses = calibrators.choose(logits[domain], y["train"], held_back)
        unseen[domain] = decision.calibrator(logits[domain])
        decisions[domain] = decision
        details[domain] = {
            "calibration": decision.calibrator.kind,
            "log_loss_by_calibration": losses,
            "parameters": decision.parameters,
            **held_out_figures(decision, x["held_out"], y["held_out"], settings.threshold),
        }
    table = thresholds.tune(parts["train"], unseen, settings.costs, settings.worth)
    tuned = max(table, key=lambda row: (row["utility"], row["threshold"]))["threshold"]
    chances = {domain: decision.probability(x["judge"]) for domain, decision in decisions.items()}
    test = thresholds.better(
        parts["judge"], chances, (settings.threshold, tuned), settings.costs, settings.worth, MOST_P
    )
    threshold = test[test["taken"]]["threshold"]
    classifier.save(router, learned, decisions, threshold=threshold)
    counts = {name: len(rows) for name, rows in parts.items()}
    choice = {"chosen": threshold, "tuned": tuned, "test": test, "table": table}
    write_json(report, {"prompts": counts, "decisions": details, "threshold": choice})
