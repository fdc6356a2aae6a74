"""Find the best of many compressed models: rule out what others beat, and choose within a budget.

A candidate is compared with the model before compression along validation conversations, which is cheap, and by its
answers, which are not. So those that cannot be the best are not asked. What counts is which tokens of
the reference answers a candidate would choose itself. Neither its divergence nor its likelihood tells as much: a model
that was trained further is far from the one before and may be better, and rounding makes one that is too sure of
itself less sure, which raises the likelihood while the answers get worse.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ingot.quantities import bytes_of
from ingot.settings.frontier import Budget

STRETCH = 16
"""Tokens that count as one where an interval is computed: neighbours are alike."""


@dataclass(frozen=True)
class Candidate:
    """What is known of a candidate before it is asked."""

    name: str
    file_bytes: int
    """Of the packed file."""
    memory_bytes: int
    """Of the file that is mapped into memory."""
    token_loss: dict[str, float]
    """How many fewer tokens of reference answers it finds likeliest than the model before compression, in points, with
    the 95 % interval: `mean`, `low`, `high`. Below 0 they are more."""

    def is_no_larger(self, other: "Candidate") -> bool:
        """Tell whether it takes no more than another, neither packed nor in memory."""
        return self.file_bytes <= other.file_bytes and self.memory_bytes <= other.memory_bytes

    def excess(self, budget: Budget | None) -> dict[str, int]:
        """Return by how many bytes it exceeds a budget: {"file" or "memory": bytes}."""
        if not budget:
            return {}
        taken = {"file": self.file_bytes, "memory": self.memory_bytes}
        allowed = {key: bytes_of(size) for key in taken if (size := getattr(budget, key))}
        return {key: taken[key] - most for key, most in allowed.items() if taken[key] > most}


def candidates_of(names: Sequence[str], reports: Sequence[dict[str, Any]]) -> list[Candidate]:
    """Put candidates together from what `screen_candidate` wrote of each."""
    return [
        Candidate(name, report["file_bytes"], report["memory_bytes"], report["token_loss"])
        for name, report in zip(names, reports, strict=True)
    ]


def interval_of(values: Any) -> dict[str, float]:
    """Compute the mean of values [tokens] and its 95 % interval (normal), by stretches of neighbouring tokens.

    Fewer than two stretches say nothing: the interval is infinite.
    """
    whole = len(values) // STRETCH * STRETCH
    stretches = values[:whole].reshape(-1, STRETCH).mean(axis=1)
    mean = float(values.mean())
    reach = 1.96 * float(stretches.std(ddof=1)) / len(stretches) ** 0.5 if len(stretches) > 1 else 1e9
    return {"mean": round(mean, 5), "low": round(mean - reach, 5), "high": round(mean + reach, 5)}


def why_not_asked(one: Candidate, all_of_them: Sequence[Candidate], max_loss: float, budget: Budget | None) -> str:
    """Say why a candidate need not be asked; "" if it may be the best."""
    if excess := one.excess(budget):
        key, count = next(iter(excess.items()))
        return f"{count:,} bytes beyond budget.{key}"
    loss = one.token_loss
    if loss["low"] > max_loss:
        return f"{loss['mean']:.1f} points of right tokens lost, more than frontier.max_token_loss"
    for other in all_of_them:
        if other.is_no_larger(one) and other.token_loss["high"] < loss["low"] and not other.excess(budget):
            return f"{other.name} is no larger and better"
    return ""


@dataclass(frozen=True)
class Point:
    """A candidate that was asked: what it takes, and how its answers compare with those of the model before."""

    candidate: Candidate
    right: int
    gain: float
    """In points, against the model before compression."""
    gain_low: float
    """The lower end of its interval, widened for the number of candidates that were asked."""

    def keeps(self, loss: float) -> bool:
        """Tell whether it loses at most `loss` points as measured, and surely no more than twice that."""
        return self.gain >= -loss and self.gain_low >= -2 * loss

    @property
    def size(self) -> tuple[int, int]:
        """What "smaller" goes by: the packed file first."""
        return self.candidate.file_bytes, self.candidate.memory_bytes


def choose(
    points: Sequence[Point], candidates: Sequence[Candidate], budget: Budget | None, asked: int
) -> tuple[str, str]:
    """Choose the smallest that keeps `budget.loss`, or without a loss the one with most right answers.

    `points` are the candidates that were asked, each as many as `asked` prompts.

    Returns its name and "", or "" and why there is none: the arithmetic, and the nearest that there is.
    """
    if problem := why_none(points, candidates, budget, asked):
        return "", problem
    assert budget
    if budget.loss is None:
        best = max(points, key=lambda point: (point.right, -point.size[0], -point.size[1]))
    else:
        keeping = [point for point in points if point.keeps(budget.loss)]
        if not keeping:
            return "", too_lossy(points, budget.loss)
        best = min(keeping, key=lambda point: point.size)
    return best.candidate.name, ""


def why_none(points: Sequence[Point], candidates: Sequence[Candidate], budget: Budget | None, asked: int) -> str:
    """Say why there is nothing to choose among; "" if there is."""
    if not budget or all(value is None for value in budget.model_dump().values()):
        return "no budget is set, so nothing is chosen; set `budget`, such as {memory: 90MB, loss: 2}"
    if not asked:
        return "no validation prompt has an answer that a checker can check; see docs/data.md on checkers"
    if all(one.excess(budget) for one in candidates):
        return beyond(candidates, budget)
    return "" if points else "no candidate that fits is good enough to be asked; raise frontier.max_token_loss"


def too_lossy(points: Sequence[Point], loss: float) -> str:
    """Say that every candidate may lose too much, and which is nearest."""
    nearest = max(points, key=lambda point: (point.gain_low, -point.size[0]))
    return (
        f"budget.loss: no candidate is known to lose at most {loss:g} points, and surely no more than {2 * loss:g}; the"
        f" nearest, {nearest.candidate.name}, loses {-nearest.gain:.1f}, and {-nearest.gain_low:.1f} at worst. Where"
        " the first is small enough, ask more validation prompts (split.shares.valid, frontier.questions); else allow"
        " more bytes or a larger loss"
    )


def beyond(candidates: Sequence[Candidate], budget: Budget) -> str:
    """Say that every candidate is too large, and which is nearest."""
    nearest = min(candidates, key=lambda one: max(one.excess(budget).values()))
    lines = []
    for key, count in nearest.excess(budget).items():
        taken = {"file": nearest.file_bytes, "memory": nearest.memory_bytes}[key]
        lines.append(f"budget.{key}: {getattr(budget, key)} are wanted, and {nearest.name} takes {taken:,} bytes")
        lines.append(f"{count:,} too many")
    return f"{', '.join(lines)}; it is the nearest: allow so much, name smaller types, or take a smaller base"
