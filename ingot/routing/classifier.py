"""Decide yes or no with a small, calibrated multilayer perceptron. It is stored without pickle, and runs on numpy."""

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
    """A yes/no decision: layers [(weights, biases), ...] that compute a logit, and a calibrator that maps it."""

    layers: list[tuple[Any, Any]]
    calibrator: Calibrator = field(default_factory=Calibrator)

    def logits(self, x: Any) -> Any:
        """Compute logits [n], not yet calibrated, from features [n, size]."""
        for i, (weights, biases) in enumerate(self.layers):
            x = x @ weights + biases
            if i < len(self.layers) - 1:
                x = x.clip(min=0)
        return x[:, 0]

    def probability(self, x: Any) -> Any:
        """Compute calibrated probabilities [n] that the decision is yes, from features [n, size]."""
        return self.calibrator(self.logits(x))

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        return sum(weights.size + biases.size for weights, biases in self.layers)


def train_decision(x: Any, y: Any, seed: int) -> Decision:
    """Train layers of the widths size, 64, 32 and 1 on features [n, size] and answers [n] (0 or 1).

    If all answers are the same, there is nothing to learn. The decision then gives the same answer to everything.
    """
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    if len(set(y.tolist())) < 2:
        return constant_decision(x.shape[1], int(y.sum()), len(y))
    network = MLPClassifier(HIDDEN, alpha=3e-2, max_iter=300, random_state=seed, tol=1e-5, n_iter_no_change=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 300 passes are enough, even while the loss still falls
        network.fit(x, y)
    layers = zip(network.coefs_, network.intercepts_, strict=True)
    return Decision([(w.astype(np.float32), b.astype(np.float32)) for w, b in layers])


def constant_decision(size: int, yes: int, of: int) -> Decision:
    """Make a decision that ignores its features [size].

    Its probability is the share of `yes` among `of` examples, with one yes and one no added to them.
    """
    import numpy as np

    widths = (size, *HIDDEN, 1)
    layers: list[tuple[Any, Any]] = [
        (np.zeros((a, b), dtype=np.float32), np.zeros(b, dtype=np.float32)) for a, b in itertools.pairwise(widths)
    ]
    layers[-1][1][:] = np.log((yes + 1) / (of - yes + 1))
    return Decision(layers)


def save(folder: Path, features: Features, decisions: dict[str, Decision], **settings: Any) -> None:
    """Write features, decisions and further `settings` to a folder, as JSON and safetensors."""
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
    """Read what `save` wrote: features, decisions by name, and settings."""
    from safetensors.numpy import load_file

    state = read_json(folder / "classifier.json")
    tensors = load_file(folder / "layers.safetensors")
    decisions = {}
    for name, calibrator in state.pop("decisions").items():
        layers = [(tensors[f"{name}.{i}.weight"], tensors[f"{name}.{i}.bias"]) for i in range(len(HIDDEN) + 1)]
        decisions[name] = Decision(layers, Calibrator(**calibrator))
    return Features.from_json(state.pop("features"), TokenVectors.load(folder)), decisions, state
