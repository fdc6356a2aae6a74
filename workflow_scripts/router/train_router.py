"""Train and calibrate the router on which models answered the routing prompts right, and tune its threshold."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingot.io.records import Record, write_json
from ingot.routing import calibrators, classifier, difficulty, thresholds
from ingot.routing.classifier import MEMBERS, Decision, Reader, Seen
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
    """Say of each prompt of which domain it is, and which modifier it needs, or "base"."""
    needed = [next((domain for domain in domains if needs(row, domain)), "base") for row in rows]
    return [f"{row['domain']}, needs {one}" for row, one in zip(rows, needed, strict=True)]


def truths(rows: list[Record], domain: str) -> Any:
    """Say of each of n prompts whether it needs the modifier of a domain, as 0 or 1 [n]."""
    import numpy as np

    return np.array([needs(row, domain) for row in rows], dtype=int)


def train_members(seen: Seen, rows: list[Record], domain: str, vectors: TokenVectors | None, seed: int) -> Decision:
    """Train the members of the committee for a domain's modifier on n rows; they are not weighed yet."""
    import numpy as np

    y = truths(rows, domain)
    decision = classifier.train_decision(seen.features, y, seed)
    if len(set(y.tolist())) > 1:
        means, table = (vectors.means(seen.ids), vectors.table) if vectors else (None, None)
        decision.difficulty = difficulty.learn(means, table, seen.counts, y)
        decision.domain = classifier.learn_domain(seen.features, np.array([row["domain"] == domain for row in rows]))
    return decision


def unseen_logits(
    rows: list[Record],
    domains: list[str],
    learn: Callable[[list[Record]], Reader],
    vectors: TokenVectors | None,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Compute a logit for each row by each member that was learned without it (cross-validation).

    So members can be weighed, and a calibrator be fitted, with all n rows. `learn` makes a reader of rows. Returns
    {domain: {member: logits [n]}}.
    """
    import numpy as np

    fold: Any = np.arange(len(rows)) % FOLDS
    logits = {domain: {member: np.zeros(len(rows)) for member in MEMBERS} for domain in domains}
    for i in range(FOLDS):
        seen = [row for row, its_fold in zip(rows, fold, strict=True) if its_fold != i]
        reader = learn(seen)
        known = reader.read([row["instruction"] for row in seen])
        left_out = reader.read([row["instruction"] for row, its in zip(rows, fold, strict=True) if its == i])
        for domain in domains:
            decision = train_members(known, seen, domain, vectors, seed)
            for member, of_member in logits[domain].items():
                of_member[fold == i] = decision.member(member, left_out)
    return logits


def weigh(logits: dict[str, Any], y: Any) -> tuple[tuple[float, ...], dict[str, float]]:
    """Weigh the members by logits of unseen prompts {member: [n]} and what was true, y [n].

    One of them may decide alone, or several with equal say. The way with the lowest log-loss is taken, with logits
    scaled and shifted as fits best. Returns (the weights of MEMBERS, {way: log-loss}).
    """
    spread = {member: float(values.std()) for member, values in logits.items()}
    speaking = [member for member in MEMBERS if spread[member]] or list(MEMBERS[:1])
    ways = {(member,): {member: 1.0} for member in speaking} | {
        way: {member: 1 / spread[member] for member in way}
        for size in range(2, len(speaking) + 1)
        for way in itertools.combinations(speaking, size)
    }
    losses = {}
    for way, weights in ways.items():
        z = sum(weight * logits[member] for member, weight in weights.items())
        losses[way] = round(calibrators.log_loss(calibrators.fit("platt", z, y)(z), y), 4)
    best = ways[min(ways, key=lambda way: losses[way])]
    return tuple(best.get(member, 0.0) for member in MEMBERS), {" and ".join(way): loss for way, loss in losses.items()}


@dataclass
class Committees:
    """A committee for each domain, not calibrated yet."""

    reader: Reader
    decisions: dict[str, Decision]
    unseen: dict[str, Any]
    """Logits [n] of the learned prompts, by members that had not seen them."""
    losses: dict[str, dict[str, float]]
    """The log-loss of each way to weigh the members."""


def committees(
    rows: list[Record], domains: list[str], size: int, vectors: TokenVectors | None, seed: int
) -> Committees:
    """Train a committee for each domain on n rows, with `size` features and perhaps token vectors."""

    def learn(rows: list[Record]) -> Reader:
        texts = [row["instruction"] for row in rows]
        features = Features.learn(texts, classes_of(rows, domains), size)
        return Reader(features, vectors.tokenizer if vectors else None)

    reader = learn(rows)
    seen = reader.read([row["instruction"] for row in rows])
    members = unseen_logits(rows, domains, learn, vectors, seed)
    trained = Committees(reader, {}, {}, {})
    for domain in domains:
        decision = train_members(seen, rows, domain, vectors, seed)
        decision.weights, trained.losses[domain] = weigh(members[domain], truths(rows, domain))
        trained.decisions[domain] = decision
        trained.unseen[domain] = sum(
            weight * members[domain][member] for weight, member in zip(decision.weights, MEMBERS, strict=True)
        )
    return trained


def held_out_figures(decision: Decision, seen: Seen, y: Any, threshold: float) -> dict[str, Any]:
    """Measure a decision on n prompts and answers [n] that it was neither trained nor calibrated on."""
    probability = decision.probability(seen)
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
    `domains`, in this order. `embedding` is a folder for ingot.routing.token_vectors, by whose tokens difficulty
    is judged, or [].

    The threshold is that of the settings, unless another one is better on prompts that it was not tuned on. See
    ingot.routing.thresholds.better. If the settings leave it open, it is the tuned one.
    """
    parts = parts_of(thresholds.joined(answers, ["base", *domains]))
    prompts = {name: [row["instruction"] for row in rows] for name, rows in parts.items()}
    vectors = TokenVectors(embedding[0]) if embedding else None

    trained = committees(parts["train"], domains, settings.features, vectors, seed)
    seen = {name: trained.reader.read(texts) for name, texts in prompts.items()}
    details: dict[str, dict[str, Any]] = {}
    unseen = {}
    for domain in domains:
        y = {name: truths(parts[name], domain) for name in ("train", "calibrate")}
        decision, logits, losses_by_way = trained.decisions[domain], trained.unseen[domain], trained.losses[domain]
        held_back = (decision.logits(seen["calibrate"]), y["calibrate"])
        decision.calibrator, losses = calibrators.choose(logits, y["train"], held_back)
        unseen[domain] = decision.calibrator(logits)
        details[domain] = {
            "members": min(losses_by_way, key=lambda way: losses_by_way[way]),
            "log_loss_by_members": losses_by_way,
            "calibration": decision.calibrator.kind,
            "log_loss_by_calibration": losses,
            "parameters": decision.parameters,
        }
    table = thresholds.tune(parts["train"], unseen, settings.costs, settings.worth)
    tuned = max(table, key=lambda row: (row["utility"], row["threshold"]))["threshold"]
    chances = {domain: decision.probability(seen["judge"]) for domain, decision in trained.decisions.items()}
    test = None
    threshold = tuned
    if settings.threshold is not None:
        choice = (settings.threshold, tuned)
        test = thresholds.better(parts["judge"], chances, choice, settings.costs, settings.worth, MOST_P)
        threshold = test[test["taken"]]["threshold"]
    for domain, decision in trained.decisions.items():
        y_held_out = truths(parts["held_out"], domain)
        details[domain] |= held_out_figures(decision, seen["held_out"], y_held_out, threshold)
    tokenizer = embedding[0] if embedding else None
    classifier.save(router, trained.reader.features, trained.decisions, tokenizer, threshold=threshold)
    counts = {name: len(rows) for name, rows in parts.items()}
    of_threshold = {"chosen": threshold, "tuned": tuned, "test": test, "table": table}
    write_json(report, {"prompts": counts, "decisions": details, "threshold": of_threshold})
