"""Check the gate of a model: if it lost too much against its parent, the build stops."""

from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.records import read_json, write_json
from ingot.settings.measure import Gate

# {limit in the preset: (figure, 1 if the limit is the most or -1 if it is the least allowed, what to try)}
LIMITS = {
    "max_perplexity_ratio": ("perplexity_ratio", 1, "more calibration or recovery steps, or a milder setting"),
    "min_top1_agreement": ("top1_agreement", -1, "a type with more bits, or more calibration records"),
    "max_kl": ("kl", 1, "a type with more bits, or more calibration records"),
    "max_exact_match_loss": ("exact_match_loss", 1, "a milder setting of this step, or longer recovery"),
    "min_exact_match_gain": ("exact_match_gain", -1, "more steps, a higher rank or learning rate, or more data"),
    "max_open_loss": ("open_loss", 1, "a milder setting of this step, or longer recovery"),
    "min_open_score": ("open_score", -1, "a milder setting of this step, longer recovery, or more data of its domain"),
    "min_interval_gap": ("interval_gap", -1, "a larger gain, or more benchmark items for a narrower interval"),
    "max_p_value": ("p_value", 1, "a larger gain, or more benchmark items"),
    "max_forgetting": ("forgetting", 1, "more rehearsal, a lower learning rate, or fewer steps"),
    # Answers that repeat themselves are those of a model that has not learned enough.
    "max_unstopped": ("unstopped", 1, "train longer, check the end token, or raise `measure.longest`"),
    "max_more_unstopped": ("more_unstopped", 1, "a milder setting of this step, or longer recovery; raise `longest`"),
    "max_token_mismatches": ("token_mismatches", 1, "the pre-tokenizer of the GGUF is not that of the checkpoint"),
}


def broken_limits(figures: dict[str, Any], limits: dict[str, float]) -> list[str]:
    """List the limits that the figures of a model break, in one sentence each."""
    figures = figures | {"exact_match_loss": -figures["exact_match_gain"], "open_loss": -figures["open_gain"]}
    broken = []
    for name, limit in limits.items():
        figure, sign, advice = LIMITS[name]
        if not sign * figures[figure] <= sign * limit:  # written in this way, NaN breaks the limit
            bound = "at most" if sign > 0 else "at least"
            broken.append(f"{figure} is {figures[figure]}, {bound} {limit} is allowed ({name}); try: {advice}")
    return broken


def gate(measured: Path, versus_parent: Path, verdict: Path, *, limits: Gate) -> None:
    """Write the verdict if the model keeps every limit.

    There are limits on figures of the model itself, and on its comparison with its parent. The verdict contains no
    figures. So a figure that changes within its limit does not rerun the steps after the gate.

    Raises InputError if a limit is broken. The message has the figures, the limits, and what to try.
    """
    figures = read_json(measured) | read_json(versus_parent)
    set_limits = limits.model_dump(exclude_none=True)
    if broken := broken_limits(figures, set_limits):
        edge = f"{figures['parent']} -> {figures['model']}"
        raise InputError(f"the gate {edge} is closed (see {versus_parent}):\n  " + "\n  ".join(broken))
    write_json(verdict, {"model": figures["model"], "parent": figures["parent"], "passed": sorted(set_limits)})
