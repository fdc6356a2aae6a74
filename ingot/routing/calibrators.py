"""From logits to probabilities that mean what they say, and how far they are from it."""

from dataclasses import asdict, dataclass, field
from typing import Any

KINDS = ("none", "temperature", "platt", "isotonic")


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x))."""
    import numpy as np

    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


@dataclass(frozen=True)
class Calibrator:
    """A map from logits to probabilities: a line on the logits or, for isotonic, points with lines between them."""

    kind: str = "none"
    slope: float = 1.0
    offset: float = 0.0
    logits: list[float] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)

    def __call__(self, z: Any) -> Any:
        """Return the probabilities [n] of logits [n]."""
        import numpy as np

        if self.kind == "isotonic":
            return np.interp(z, self.logits, self.probabilities)
        return sigmoid(self.slope * z + self.offset)

    def to_json(self) -> dict[str, Any]:
        """Return what makes the same calibrator again."""
        return asdict(self)


def fit(kind: str, z: Any, y: Any) -> Calibrator:
    """Fit a calibrator of a kind to logits z [n] of examples that the layers had not seen, and their answers y [n].

    Temperature scales (Guo et al. 2017), Platt scales and shifts (Platt 1999), isotonic is any map that never falls
    (Zadrozny and Elkan 2002); it stays as far from 0 and 1 as so many examples can tell.
    """
    import numpy as np
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression

    if kind == "none" or len(set(y.tolist())) < 2:
        return Calibrator()
    if kind == "platt":
        line = LogisticRegression(C=10.0).fit(z[:, None], y)
        return Calibrator("platt", float(line.coef_[0, 0]), float(line.intercept_[0]))
    if kind == "isotonic":
        margin = 1 / (len(y) + 2)
        steps = IsotonicRegression(y_min=margin, y_max=1 - margin, out_of_bounds="clip").fit(z, y)
        return Calibrator("isotonic", logits=steps.X_thresholds_.tolist(), probabilities=steps.y_thresholds_.tolist())
    slopes = np.geomspace(0.05, 4.0, 80)
    return Calibrator("temperature", float(min(slopes, key=lambda slope: log_loss(sigmoid(slope * z), y))))


def choose(z: Any, y: Any, held_back: tuple[Any, Any]) -> tuple[Calibrator, dict[str, float]]:
    """Return the calibrator with the least log-loss on `held_back` (logits, answers), and the loss of each kind.

    Each is fitted on logits z and answers y; the raw score stays unless another one wins.
    """
    candidates = {kind: fit(kind, z, y) for kind in KINDS}
    losses = {kind: round(log_loss(one(held_back[0]), held_back[1]), 4) for kind, one in candidates.items()}
    return candidates[min(KINDS, key=lambda kind: losses[kind])], losses


def log_loss(probability: Any, truth: Any) -> float:
    """Return the mean negative log-likelihood, with probabilities kept away from 0 and 1."""
    import numpy as np

    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return float(-(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean())


def reliability(probability: Any, truth: Any, bins: int = 10) -> list[dict[str, float]]:
    """Return for each bin of equal width that holds something: how many, how sure they are, and how many are true."""
    import numpy as np

    place = np.minimum((np.asarray(probability) * bins).astype(int), bins - 1)
    return [
        {
            "from": b / bins,
            "to": (b + 1) / bins,
            "count": int((place == b).sum()),
            "confidence": float(probability[place == b].mean()),
            "true": float(truth[place == b].mean()),
        }
        for b in sorted(set(place.tolist()))
    ]


def calibration_error(bins: list[dict[str, float]]) -> float:
    """Return the expected calibration error of `reliability`: the mean gap, weighted by count (Guo et al. 2017)."""
    count = sum(one["count"] for one in bins)
    return sum(abs(one["confidence"] - one["true"]) * one["count"] for one in bins) / max(1, count)


def expected_calibration_error(probability: Any, truth: Any, bins: int = 10) -> float:
    """Return the expected calibration error of probabilities [n] and what was true [n] (0 or 1)."""
    return calibration_error(reliability(probability, truth, bins))
