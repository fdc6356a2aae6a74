"""Train and calibrate the router on who answered the routing prompts right."""

from pathlib import Path

from lib import classifier
from lib.features import Features
from lib.records import Record, read_records, write_json
from lib.text import unit_hash


def thirds(rows: list[Record]) -> tuple[list[Record], list[Record], list[Record]]:
    """Split by prompt hash: 80 % to train on, 10 % to calibrate with, 10 % held out."""
    parts: tuple[list[Record], list[Record], list[Record]] = ([], [], [])
    for row in rows:
        position = unit_hash(f"router {row['prompt']}")
        parts[0 if position < 0.8 else 1 if position < 0.9 else 2].append(row)
    return parts


def needs(row: Record, modifier: str) -> bool:
    """Tell whether a prompt needs a modifier: the base fails and the modifier does not."""
    return not row["right"]["base"] and bool(row["right"][modifier])


def train_router(
    labels: Path, router: Path, report: Path, *, domains: list[str], features: int, threshold: float, seed: int
) -> None:
    """Write the router and what it does on the prompts that it was neither trained nor calibrated on."""
    import numpy as np

    train, held_back, held_out = thirds(list(read_records(labels)))
    classes = [next((domain for domain in domains if needs(row, domain)), "base") for row in train]
    learned = Features.learn([row["prompt"] for row in train], classes, features)
    decisions, details = {}, {}
    for domain in domains:
        x = [learned.matrix([row["prompt"] for row in part]) for part in (train, held_back, held_out)]
        y = [np.array([needs(row, domain) for row in part], dtype=int) for part in (train, held_back, held_out)]
        decision = classifier.train_decision(x[0], y[0], seed)
        chosen = classifier.calibrate(decision, classifier.unseen_logits(x[0], y[0], seed), y[0], (x[1], y[1]))
        probability = decision.probability(x[2])
        decisions[domain] = decision
        details[domain] = {
            "calibration": chosen,
            "parameters": decision.parameters,
            "held_out_accuracy": round(float(((probability >= threshold) == y[2]).mean()), 4),
            "held_out_ece": round(classifier.expected_calibration_error(probability, y[2]), 4),
            "needed": int(y[2].sum()),
        }
    classifier.save(router, learned, decisions, threshold=threshold)
    counts = {"train": len(train), "calibrate": len(held_back), "held_out": len(held_out)}
    write_json(report, {"prompts": counts, "decisions": details, "threshold": threshold})
