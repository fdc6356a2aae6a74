"""A small multilayer perceptron per yes/no decision, calibrated, stored without pickle and run with numpy."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.features import Features
from lib.records import read_json, write_json

HIDDEN = (64, 32)


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x))."""
    import numpy as np

    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


@dataclass
class Decision:
    """The layers [(weights, biases), ...] of one decision, and the line that calibrates its logit."""

    layers: list[tuple[Any, Any]]
    slope: float = 1.0
    offset: float = 0.0

    def logits(self, x: Any) -> Any:
        """Return uncalibrated logits [n] of features [n, size]."""
        for i, (weights, biases) in enumerate(self.layers):
            x = x @ weights + biases
            if i < len(self.layers) - 1:
                x = x.clip(min=0)
        return x[:, 0]

    def probability(self, x: Any) -> Any:
        """Return calibrated probabilities [n] that the decision is yes."""
        return sigmoid(self.slope * self.logits(x) + self.offset)

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum(weights.size + biases.size for weights, biases in self.layers)


def train_decision(x: Any, y: Any, seed: int) -> Decision:
    """Fit the layers size-64-32-1 on features [n, size] and answers [n] (0 or 1).

    Where all answers are the same there is nothing to learn, and the decision says so with the same confidence always.
    """
    import numpy as np
    from sklearn.neural_network import MLPClassifier

    if len(set(y.tolist())) < 2:
        return constant_decision(x.shape[1], int(y.sum()), len(y))
    network = MLPClassifier(HIDDEN, alpha=3e-2, max_iter=300, random_state=seed, tol=1e-5, n_iter_no_change=20)
    network.fit(x, y)
    layers = zip(network.coefs_, network.intercepts_, strict=True)
    return Decision([(w.astype(np.float32), b.astype(np.float32)) for w, b in layers])


def constant_decision(size: int, yes: int, of: int) -> Decision:
    """Return a decision that ignores its features [size]: the odds of `yes` among `of`, with one more on each side."""
    import numpy as np

    widths = (size, *HIDDEN, 1)
    layers: list[tuple[Any, Any]] = [
        (np.zeros((a, b), dtype=np.float32), np.zeros(b, dtype=np.float32)) for a, b in itertools.pairwise(widths)
    ]
    layers[-1][1][:] = np.log((yes + 1) / (of - yes + 1))
    return Decision(layers)


def expected_calibration_error(probability: Any, truth: Any, bins: int = 10) -> float:
    """Return the mean gap between confidence and accuracy over equal-width bins (Guo et al. 2017)."""
    import numpy as np

    place = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [abs(probability[place == b].mean() - truth[place == b].mean()) * (place == b).mean() for b in set(place)]
    return float(sum(gaps))


def log_loss(probability: Any, truth: Any) -> float:
    """Return the mean negative log-likelihood, with probabilities kept away from 0 and 1."""
    import numpy as np

    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return float(-(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean())


def unseen_logits(x: Any, y: Any, seed: int, folds: int = 4) -> Any:
    """Return a logit [n] for every example from layers trained without it, to calibrate on as many as possible."""
    import numpy as np

    fold: Any = np.arange(len(y)) % folds
    logits = np.zeros(len(y))
    for i in range(folds):
        logits[fold == i] = train_decision(x[fold != i], y[fold != i], seed).logits(x[fold == i])
    return logits


def calibrate(decision: Decision, logits: Any, y: Any, held_back: tuple[Any, Any]) -> str:
    """Fit the calibrating line on logits of examples that the layers had not seen; return the kind that was chosen.

    Candidates are none, temperature (slope only) and Platt (slope and offset). The one with the lowest log-loss on
    `held_back` (features, answers), on which no candidate was fitted, wins; the raw score stays unless another wins.
    """
    z, truth = decision.logits(held_back[0]), held_back[1]
    lines = {kind: fit_line(kind, logits, y) for kind in ("none", "temperature", "platt")}
    best = min(lines, key=lambda kind: log_loss(sigmoid(lines[kind][0] * z + lines[kind][1]), truth))
    decision.slope, decision.offset = lines[best]
    return best


def fit_line(kind: str, z: Any, y: Any) -> tuple[float, float]:
    """Return (slope, offset) of a calibrator for logits z [n] and answers y [n]."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    if kind == "none" or len(set(y.tolist())) < 2:
        return 1.0, 0.0
    if kind == "platt":
        line = LogisticRegression(C=10.0).fit(z[:, None], y)
        return float(line.coef_[0, 0]), float(line.intercept_[0])
    slopes = np.geomspace(0.05, 4.0, 80)
    return float(min(slopes, key=lambda slope: log_loss(sigmoid(slope * z), y))), 0.0


def save(folder: Path, features: Features, decisions: dict[str, Decision], **settings: Any) -> None:
    """Write features and decisions as JSON and safetensors."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    tensors = {
        f"{name}.{i}.{part}": value
        for name, decision in decisions.items()
        for i, layer in enumerate(decision.layers)
        for part, value in zip(("weight", "bias"), layer, strict=True)
    }
    save_file(tensors, folder / "layers.safetensors")
    lines = {name: {"slope": d.slope, "offset": d.offset} for name, d in decisions.items()}
    write_json(folder / "classifier.json", {"features": features.to_json(), "decisions": lines, **settings})


def load(folder: Path) -> tuple[Features, dict[str, Decision], dict[str, Any]]:
    """Read back what `save` wrote: features, decisions by name, and the settings."""
    from safetensors.numpy import load_file

    state = read_json(folder / "classifier.json")
    tensors = load_file(folder / "layers.safetensors")
    decisions = {}
    for name, line in state.pop("decisions").items():
        layers = [(tensors[f"{name}.{i}.weight"], tensors[f"{name}.{i}.bias"]) for i in range(len(HIDDEN) + 1)]
        decisions[name] = Decision(layers, line["slope"], line["offset"])
    return Features.from_json(state.pop("features")), decisions, state
