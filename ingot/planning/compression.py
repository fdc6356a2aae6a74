"""What few bits cost: how many of the next tokens change, by the bits a weight. Lines through what was measured.

Each model has a line of its own. All lines have the same slope, and mixes lie lower than types of llama.cpp by one
factor: more the points do not allow.
"""

import json
import math
from pathlib import Path
from typing import Any

from ingot.quantities import bits_of

FILE = Path(__file__).with_name("compression.json")
BITS = (1.5, 6.0)
"""Where the lines hold. With more bits, hardly a token changes."""

Measured = dict[str, Any]
"""A model: `model`, `weights`, `texts`, `source`, and `points`, each with `type`, `bits`, `changed` and `mixed`."""


def ternary(quant: str) -> bool:
    """Tell whether a type is for models that were trained in it. Others break in it."""
    return quant.startswith("TQ")


def points_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Take the points for a line from what a search found, by the model before compression alone."""
    before = found["before"]
    points = []
    for row in found["candidates"]:
        source, _, quant = row["recipe"].rpartition("-")
        bits = 16 * row["memory_bytes"] / before["memory_bytes"]
        changed = round(1 - row["top1_agreement"], 4)
        if source == before["model"] and BITS[0] <= bits <= BITS[1] and not ternary(quant) and changed:
            mixed = bits_of(quant) > 0
            points.append({"type": quant, "bits": round(bits, 2), "changed": changed, "mixed": mixed})
    return sorted(points, key=lambda point: -point["bits"])


def lines_through(models: list[Measured]) -> dict[str, Any]:
    """Fit the logarithm of the shares by least squares.

    Returns `per_bit`, by what a bit less multiplies the share; `of_mix`, by what a mix does; `spread`, the factor that
    two of three points are within; and `at_four`, the share of each model at 4 bits in a type of llama.cpp.
    """
    import numpy as np

    rows, logs = [], []
    for place, model in enumerate(models):
        for point in model["points"]:
            own = [float(place == other) for other in range(len(models))]
            rows.append([4 - point["bits"], float(point["mixed"]), *own])
            logs.append(math.log(point["changed"]))
    solved = np.linalg.lstsq(np.array(rows), np.array(logs), rcond=None)[0]
    error = np.array(logs) - np.array(rows) @ solved
    per_bit, of_mix, *at_four = (round(float(math.exp(value)), 4) for value in solved)
    return {
        "per_bit": per_bit,
        "of_mix": of_mix,
        "spread": round(float(math.exp(np.std(error))), 2),
        "at_four": {model["model"]: share for model, share in zip(models, at_four, strict=True)},
    }


def line_alone(model: str, lines: dict[str, Any]) -> dict[str, Any]:
    """Leave the line of one model, or all if it has none."""
    at_four = lines["at_four"]
    return {**lines, "at_four": {model: at_four[model]}} if model in at_four else lines


def line_of(model: str, mixed: bool, lines: dict[str, Any]) -> list[tuple[float, float]]:
    """Return the two ends of a model's line, as (bits, share)."""
    return [(bits, shares[0]) for bits in BITS if (shares := changed(bits, mixed, line_alone(model, lines)))]


def changed(bits: float, mixed: bool, lines: dict[str, Any]) -> tuple[float, float] | None:
    """Return the least and the largest share of next tokens that change, among the models; None beyond the lines."""
    if not BITS[0] <= bits <= BITS[1]:
        return None
    factor = lines["per_bit"] ** (4 - bits) * (lines["of_mix"] if mixed else 1)
    shares = [min(1.0, share * factor) for share in lines["at_four"].values()]
    return min(shares), max(shares)


def percent(shares: tuple[float, float]) -> str:
    """Write two shares as a range in percent."""
    low, high = (f"{100 * share:.0f}" if share >= 0.1 else f"{100 * share:.2g}" for share in shares)
    return f"{low} %" if low == high else f"{low} to {high} %"


def changed_by(quant: str, sizes: dict[str, int], lines: dict[str, Any]) -> dict[str, Any] | None:
    """Say what rounding to a type is expected to change, where files of these types take so many bytes.

    None if the type or its size is unknown, or beyond the lines, and for ternary types.
    """
    if not quant or ternary(quant) or not {quant, "F16"} <= sizes.keys():
        return None
    shares = changed(16 * sizes[quant] / sizes["F16"], bits_of(quant) > 0, lines)
    return {"type": quant, "of_next_tokens": shares} if shares else None


def known() -> dict[str, Any]:
    """Read the models and the lines."""
    content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return content
