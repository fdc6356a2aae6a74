"""A small multilayer perceptron per yes/no decision, calibrated, stored without pickle and run with numpy."""

import itertools
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingot.io.records import read_json, write_json
from ingot.routing.calibrators import Calibrator
from ingot.routing.features import Features
from ingot.routing.token_vectors import TokenVectors

HIDDEN = (64, 32)


@dataclass
class Decision:
    """The layers [(weights, biases), ...] of one decision, and what makes a probability of its logit."""

    layers: list[tuple[Any, Any]]
    calibrator: Calibrator = field(default_factory=Calibrator)

    def logits(self, x: Any) -> Any:
        """Return uncalibrated logits [n] of features [n, size]."""
        for i, (weights, biases) in enumerate(self.layers):
            x = x @ weights + biases
            if i < len(self.layers) - 1:
                x = x.clip(min=0)
        return x[:, 0]

    def probability(self, x: Any) -> Any:
        """Return calibrated probabilities [n] that the decision is yes."""
        return self.calibrator(self.logits(x))

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum(weights.size + biases.size for weights, biases in self.layers)


def train_decision(x: Any, y: Any, seed: int) -> Decision:
    """Fit the layers size-64-32-1 on features [n, size] and answers [n] (0 or 1).

    Where all answers are the same there is nothing to learn, and the decision says so with the same confidence always.
    """
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    if len(set(y.tolist())) < 2:
        return constant_decision(x.shape[1], int(y.sum()), len(y))
    network = MLPClassifier(HIDDEN, alpha=3e-2, max_iter=300, random_state=seed, tol=1e-5, n_iter_no_change=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 300 passes are enough, even if the loss still falls
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


def unseen_logits(x: Any, y: Any, seed: int, folds: int = 4) -> Any:
    """Return a logit [n] for every example from layers trained without it, to calibrate on as many as possible."""
    import numpy as np

    fold: Any = np.arange(len(y)) % folds
    logits = np.zeros(len(y))
    for i in range(folds):
        logits[fold == i] = train_decision(x[fold != i], y[fold != i], seed).logits(x[fold == i])
    return logits


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
    calibrators = {name: decision.calibrator.to_json() for name, decision in decisions.items()}
    if features.embedding:
        features.embedding.save(folder)
    write_json(folder / "classifier.json", {"features": features.to_json(), "decisions": calibrators, **settings})


def load(folder: Path) -> tuple[Features, dict[str, Decision], dict[str, Any]]:
    """Read back what `save` wrote: features, decisions by name, and the settings."""
    from safetensors.numpy import load_file

    state = read_json(folder / "classifier.json")
    tensors = load_file(folder / "layers.safetensors")
    decisions = {}
    for name, calibrator in state.pop("decisions").items():
        layers = [(tensors[f"{name}.{i}.weight"], tensors[f"{name}.{i}.bias"]) for i in range(len(HIDDEN) + 1)]
        decisions[name] = Decision(layers, Calibrator(**calibrator))
    return Features.from_json(state.pop("features"), TokenVectors.load(folder)), decisions, state
