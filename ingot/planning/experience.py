"""Learn from what steps have taken on this machine: how many times the estimate it was, by step, rule and machine."""

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingot.io.files import write_whole
from ingot.planning.estimates import Estimate

EXPERIENCE = Path(".cache/plan/experience.json")
"""Where it is kept, in the folder of the project."""
CPU_SPEED = 45e9
"""Operations a second of a thread, before anything is known: float32 with AVX2."""
GPU_SPEED = 100e12
"""The same of a GPU: a third of what an H100 does in bfloat16."""
RECORD_SPEED = 2e6
"""Bytes of records a second."""
QUANTITIES = ("file_bytes", "memory_bytes", "seconds")
SMALL = 2.0
"""Seconds of the shortest step that is told apart: shorter ones are mostly start-up, and no error is counted."""


@dataclass(frozen=True)
class Needs:
    """What a step needs."""

    file_bytes: float
    memory_bytes: float
    gpu_memory_bytes: float
    seconds: float


def needs_of(estimate: Estimate, threads: int, on_gpu: bool) -> Needs:
    """Turn an estimate into time, by the speeds of a usual machine."""
    speed = GPU_SPEED if on_gpu and estimate.gpu_memory_bytes else CPU_SPEED * (estimate.threads or threads)
    seconds = estimate.seconds + estimate.operations / speed + estimate.record_bytes / RECORD_SPEED
    return Needs(estimate.file_bytes, estimate.memory_bytes, estimate.gpu_memory_bytes, seconds)


class Experience:
    """What was estimated, said and measured of every step that ran here, in a file."""

    def __init__(self, path: Path) -> None:
        """Read the file, if there is one. One that cannot be read counts as none: it only makes plans better."""
        self.path = path
        self.steps: dict[str, dict[str, Any]] = {}
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            self.steps = {name: one for name, one in known.items() if set(one) >= {"rule", "estimated"}}
        except (OSError, ValueError, AttributeError, TypeError):
            pass

    def note_measured(self, name: str, rule: str, estimated: Needs, measured: dict[str, float], ended: float) -> None:
        """Note what a step has taken. What was said of it before becomes an error that is known."""
        one = self.steps.setdefault(name, {"rule": rule, "estimated": vars(estimated)})
        if one.get("ended") == ended:
            return
        said = one.pop("said", None)
        if said and said["at"] < ended:
            one["errors"] = {key: said[key] / measured[key] - 1 for key in QUANTITIES if measured[key]}
        one |= {"rule": rule, "estimated": vars(estimated), "measured": measured, "ended": ended}

    def note_said(self, name: str, rule: str, estimated: Needs, said: Needs, now: float) -> None:
        """Note what a plan says of a step that is still to run."""
        one = self.steps.setdefault(name, {"rule": rule, "estimated": vars(estimated)})
        one["said"] = {**vars(said), "at": now}

    def factor(self, name: str, rule: str, quantity: str) -> float:
        """Return how many times the estimate a step will probably take."""
        own = self.ratio(name, quantity)
        if own:
            return own
        of_rule = [r for other, one in self.steps.items() if one["rule"] == rule and (r := self.ratio(other, quantity))]
        if of_rule:
            return statistics.median(of_rule)
        # Machines differ in speed; files and memory do not.
        others = [r for other in self.steps if (r := self.ratio(other, quantity))] if quantity == "seconds" else []
        return statistics.median(others) if others else 1.0

    def ratio(self, name: str, quantity: str) -> float | None:
        """Return how many times its estimate a step has taken. None if it is not known."""
        one = self.steps.get(name, {})
        measured, estimated = (one.get(key, {}).get(quantity) for key in ("measured", "estimated"))
        return measured / estimated if measured and estimated else None

    def corrected(self, name: str, rule: str, estimated: Needs) -> Needs:
        """Correct an estimate by what is known."""
        factors = {quantity: self.factor(name, rule, quantity) for quantity in QUANTITIES}
        values = {quantity: getattr(estimated, quantity) * factor for quantity, factor in factors.items()}
        return Needs(gpu_memory_bytes=estimated.gpu_memory_bytes, **values)

    def errors(self) -> dict[str, tuple[float, int]]:
        """Return {quantity: (median size of the error of what was said, of how many steps)}."""
        found = {}
        for quantity in QUANTITIES:
            known = [
                abs(one["errors"][quantity])
                for one in self.steps.values()
                if quantity in one.get("errors", {}) and one["measured"]["seconds"] >= SMALL
            ]
            if known:
                found[quantity] = (statistics.median(known), len(known))
        return found

    def save(self) -> None:
        """Write the file."""
        write_whole(self.path, json.dumps(self.steps, sort_keys=True, indent=1))
