"""Calibrate: turn logits into probabilities that come true as often as they say, and measure how far off they are."""

from dataclasses import asdict, dataclass, field
from typing import Any

KINDS = ("none", "temperature", "platt", "isotonic")


def sigmoid(x: Any) -> Any:
    """Compute 1 / (1 + exp(-x)) for numbers [n]."""
    import numpy as np

    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


@dataclass(frozen=True)
class Calibrator:
    """Maps logits to probabilities: by a line before the sigmoid or, if isotonic, by points with lines between them."""

    kind: str = "none"
    slope: float = 1.0
    offset: float = 0.0
    logits: list[float] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)

    def __call__(self, z: Any) -> Any:
        """Map logits [n] to probabilities [n]."""
        import numpy as np

        if self.kind == "isotonic":
            return np.interp(z, self.logits, self.probabilities)
        return sigmoid(self.slope * z + self.offset)

    def to_json(self) -> dict[str, Any]:
        """Return the arguments that make the same calibrator again."""
        return asdict(self)


def fit(kind: str, z: Any, y: Any) -> Calibrator:
    """Fit a calibrator to logits `z` [n] and to what was true, `y` [n] (0 or 1).

    The layers must not have been trained on these examples. The kinds are:
        none: the sigmoid of the logit.
        temperature: scales the logit (Guo et al. 2017).
        platt: scales and shifts the logit (Platt 1999).
        isotonic: any map that never falls (Zadrozny and Elkan 2002). It stays as far away from 0 and 1 as n examples
            can tell.
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
    """Choose the calibrator with the lowest log-loss on examples that were held back.

    Every kind is fitted to logits `z` [n] and truths `y` [n]. `held_back` are (logits, truths) of other examples.
    Logits stay uncalibrated unless a calibrator has a lower loss. Returns (calibrator, {kind: its log-loss}).
    """
    candidates = {kind: fit(kind, z, y) for kind in KINDS}
    logits, truths = held_back
    losses = {kind: round(log_loss(calibrator(logits), truths), 4) for kind, calibrator in candidates.items()}
    return candidates[min(KINDS, key=lambda kind: losses[kind])], losses


def log_loss(probability: Any, truth: Any) -> float:
    """Compute the mean negative log-likelihood of truths [n] in nats. Probabilities [n] are kept away from 0 and 1."""
    import numpy as np

    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return float(-(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean())


def reliability(probability: Any, truth: Any, bins: int = 10) -> list[dict[str, float]]:
    """Sort probabilities [n] into bins of equal width, and compare each bin with what was true.

    Returns:
        For each bin that is not empty, `from` and `to`, its ends; `count`, how many probabilities are in it;
        `confidence`, their mean; and `true`, the share of them that came true.
    """
    import numpy as np

    bin_of = np.minimum((np.asarray(probability) * bins).astype(int), bins - 1)
    return [
        {
            "from": b / bins,
            "to": (b + 1) / bins,
            "count": int((bin_of == b).sum()),
            "confidence": float(probability[bin_of == b].mean()),
            "true": float(truth[bin_of == b].mean()),
        }
        for b in sorted(set(bin_of.tolist()))
    ]


def calibration_error(bins: list[dict[str, float]]) -> float:
    """Compute the expected calibration error (Guo et al. 2017) of the bins that `reliability` returns.

    It is the mean gap between `confidence` and `true`, weighted by `count`.
    """
    total = sum(row["count"] for row in bins)
    return sum(abs(row["confidence"] - row["true"]) * row["count"] for row in bins) / max(1, total)


def expected_calibration_error(probability: Any, truth: Any, bins: int = 10) -> float:
    """Compute the expected calibration error of probabilities [n], given what was true [n] (0 or 1)."""
    return calibration_error(reliability(probability, truth, bins))
