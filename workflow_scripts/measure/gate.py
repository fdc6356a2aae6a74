"""The gate on an edge of the chain: a model that lost too much against its parent stops the build."""

from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.records import read_json, write_json
from ingot.settings.measure import Gate

# limit in the preset: (figure, 1 if it may be at most the limit or -1 if at least, what to try when it is not met)
LIMITS = {
    "max_perplexity_ratio": ("perplexity_ratio", 1, "more calibration or recovery steps, or a milder setting"),
    "min_top1_agreement": ("top1_agreement", -1, "a type with more bits, or more calibration records"),
    "max_kl": ("kl", 1, "a type with more bits, or more calibration records"),
    "max_exact_match_loss": ("exact_match_loss", 1, "a milder setting of this step, or longer recovery"),
    "min_exact_match_gain": ("exact_match_gain", -1, "more steps, a higher rank or learning rate, or more data"),
    "min_interval_gap": ("interval_gap", -1, "a larger gain, or more benchmark items for a narrower interval"),
    "max_p_value": ("p_value", 1, "a larger gain, or more benchmark items"),
    "max_forgetting": ("forgetting", 1, "more rehearsal, a lower learning rate, or fewer steps"),
    "max_unstopped": ("unstopped", 1, "check the end token in training and in the conversion; raise `longest`"),
    "max_token_mismatches": ("token_mismatches", 1, "the pre-tokenizer of the GGUF is not that of the checkpoint"),
}


def broken_limits(figures: dict[str, Any], limits: dict[str, float]) -> list[str]:
    """Return one sentence for every limit that the figures of a model do not keep."""
    figures = figures | {"exact_match_loss": -figures["exact_match_gain"]}
    broken = []
    for name, limit in limits.items():
        figure, sign, advice = LIMITS[name]
        if not sign * figures[figure] <= sign * limit:  # so written, a figure that is not a number fails
            bound = "at most" if sign > 0 else "at least"
            broken.append(f"{figure} is {figures[figure]}, {bound} {limit} is allowed ({name}); try: {advice}")
    return broken


def gate(measured: Path, versus_parent: Path, verdict: Path, *, limits: Gate) -> None:
    """Write the verdict if every limit is kept, else raise InputError with the figures, the limits and what to try.

    Limits are set on figures of the model itself, and on how it compares with its parent. The verdict holds no figures:
    what depends on it need not run again because a figure moved within its limit.
    """
    figures = read_json(measured) | read_json(versus_parent)
    asked = limits.model_dump(exclude_none=True)
    if broken := broken_limits(figures, asked):
        edge = f"{figures['parent']} -> {figures['model']}"
        raise InputError(f"the gate {edge} is closed (see {versus_parent}):\n  " + "\n  ".join(broken))
    write_json(verdict, {"model": figures["model"], "parent": figures["parent"], "passed": sorted(asked)})
