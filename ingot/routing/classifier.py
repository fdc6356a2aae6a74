"""Decide yes or no about prompts: a small, calibrated committee that is stored without pickle, and runs on numpy."""

import itertools
import shutil
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingot.io.records import read_json, write_json
from ingot.routing.calibrators import Calibrator
from ingot.routing.difficulty import Difficulty, text_counts
from ingot.routing.features import Features
from ingot.routing.token_vectors import TOKENIZER, read_tokenizer

HIDDEN = (64, 32)
MEMBERS = ("perceptron", "difficulty", "domain")
DOMAIN_SHRUNK = 10.0
"""The inverse of the L2 penalty on the weights of `domain`: lower holds them nearer to 0."""


@dataclass(frozen=True)
class Seen:
    """What decisions look at, of n prompts."""

    features: Any
    """[n, size], as float32, for perceptron and domain."""
    ids: list[list[int]]
    """Token ids of each, for difficulty; empty lists without a tokenizer."""
    counts: Any
    """[n, counts], for difficulty."""

    def __getitem__(self, places: Any) -> "Seen":
        """Take some of the prompts."""
        import numpy as np

        return Seen(self.features[places], [self.ids[i] for i in np.arange(len(self.ids))[places]], self.counts[places])


class Reader:
    """Reads prompts for decisions."""

    def __init__(self, features: Features, tokenizer: Any = None) -> None:
        """Take features and, if difficulty is judged by tokens, a `tokenizers.Tokenizer`."""
        self.features, self.tokenizer = features, tokenizer

    def read(self, prompts: list[str]) -> Seen:
        """Read n prompts."""
        import numpy as np

        encoded = self.tokenizer.encode_batch(prompts, add_special_tokens=False) if self.tokenizer else ()
        counts = np.array([text_counts(prompt) for prompt in prompts], dtype=np.float32)
        ids = [one.ids for one in encoded] if self.tokenizer else [[] for _ in prompts]
        return Seen(self.features.matrix(prompts), ids, counts)


@dataclass
class Decision:
    """A yes/no decision. Its members are a perceptron and, perhaps, difficulty and domain; their logits are added.

    The perceptron has layers [(weights, biases), ...].
    """

    layers: list[tuple[Any, Any]]
    difficulty: Difficulty | None = None
    domain: Any = None
    """A weight per feature and an offset [size + 1]: how likely a prompt is of the domain, whoever answers it right."""
    weights: tuple[float, ...] = (1.0,)
    """Those of MEMBERS. A member without one, as in what was stored before there was `domain`, says nothing."""
    calibrator: Calibrator = field(default_factory=Calibrator)

    def perceptron(self, x: Any) -> Any:
        """Compute the perceptron's logits [n] from features [n, size]."""
        for i, (weights, biases) in enumerate(self.layers):
            x = x @ weights + biases
            if i < len(self.layers) - 1:
                x = x.clip(min=0)
        return x[:, 0]

    def member(self, name: str, seen: Seen) -> Any:
        """Compute the logits [n] of a member; one that has learned nothing says 0."""
        if name == "difficulty" and self.difficulty:
            return self.difficulty.logits(seen.ids, seen.counts)
        if name == "domain" and self.domain is not None:
            return seen.features @ self.domain[:-1] + self.domain[-1]
        return self.perceptron(seen.features) if name == "perceptron" else 0.0

    def logits(self, seen: Seen) -> Any:
        """Compute logits [n], not yet calibrated, of n prompts."""
        weighed = zip(self.weights, MEMBERS, strict=False)
        return sum(weight * self.member(name, seen) for weight, name in weighed if weight)

    def probability(self, seen: Seen) -> Any:
        """Compute calibrated probabilities [n] that the decision is yes, of n prompts."""
        return self.calibrator(self.logits(seen))

    @property
    def parameters(self) -> int:
        """The number of weights and biases of the perceptron."""
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


def learn_domain(x: Any, inside: Any) -> Any:
    """Learn from features [n, size] which prompts are of a domain, `inside` [n] (0 or 1): `Decision.domain`.

    Every prompt has a domain, and few need a modifier. So the domain is known long before the need, and where a few
    dozen prompts are all there is, asking a domain's modifier in its domain may be all that can be learned.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    if len(set(inside.tolist())) < 2:
        return None
    fitted = LogisticRegression(C=DOMAIN_SHRUNK, max_iter=300, class_weight="balanced").fit(x, inside)
    return np.append(fitted.coef_[0], fitted.intercept_).astype(np.float32)


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


def save(
    folder: Path, features: Features, decisions: dict[str, Decision], tokenizer: Path | None = None, **settings: Any
) -> None:
    """Write features, decisions and further `settings` to a folder, as JSON and safetensors.

    `tokenizer` is the folder of the tokenizer by whose tokens difficulty is judged.
    """
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    tensors: dict[str, Any] = {}
    described: dict[str, Any] = {}
    for name, decision in decisions.items():
        for i, layer in enumerate(decision.layers):
            tensors |= {f"{name}.{i}.{part}": value for part, value in zip(("weight", "bias"), layer, strict=True)}
        described[name] = {"calibrator": decision.calibrator.to_json(), "weights": decision.weights}
        if decision.domain is not None:
            tensors[f"{name}.domain"] = decision.domain
        if decision.difficulty:
            tensors[f"{name}.token_scores"] = decision.difficulty.scores
            tensors[f"{name}.count_weights"] = decision.difficulty.weights
            described[name]["offset"] = decision.difficulty.offset
    save_file(tensors, folder / "layers.safetensors")
    if tokenizer:
        shutil.copyfile(tokenizer / TOKENIZER, folder / TOKENIZER)
    write_json(folder / "classifier.json", {"features": features.to_json(), "decisions": described, **settings})


def load(folder: Path) -> tuple[Reader, dict[str, Decision], dict[str, Any]]:
    """Read what `save` wrote: the reader of prompts, decisions by name, and settings."""
    from safetensors.numpy import load_file

    state = read_json(folder / "classifier.json")
    tensors = load_file(folder / "layers.safetensors")
    decisions = {}
    for name, described in state.pop("decisions").items():
        layers = [(tensors[f"{name}.{i}.weight"], tensors[f"{name}.{i}.bias"]) for i in range(len(HIDDEN) + 1)]
        parts = (tensors.get(f"{name}.token_scores"), tensors.get(f"{name}.count_weights"), described.get("offset"))
        difficulty = Difficulty(*parts) if parts[1] is not None else None
        calibrator = Calibrator(**described["calibrator"])
        domain = tensors.get(f"{name}.domain")
        decisions[name] = Decision(layers, difficulty, domain, tuple(described["weights"]), calibrator)
    tokenizer = read_tokenizer(folder) if (folder / TOKENIZER).exists() else None
    return Reader(Features(**state.pop("features")), tokenizer), decisions, state
