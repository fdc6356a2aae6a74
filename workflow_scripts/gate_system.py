"""The last gate: modifiers, router and the system as a whole against what the preset asks of them."""

from pathlib import Path
from typing import Any

from lib.records import InputError, read_json, write_json


def failures(report: dict[str, Any], limits: dict[str, float]) -> list[str]:
    """Return one sentence for every limit that the system does not keep."""
    broken = []
    for domain, figures in report["modifiers"].items():
        if figures["gain"] < limits["min_modifier_gain"]:
            broken.append(
                f"modifier {domain} gains {figures['gain']} points in its domain, {limits['min_modifier_gain']} are"
                " asked for (min_modifier_gain); try: more steps, a higher rank, or more training prompts"
            )
    decisions = report["right_decisions"]["share"]
    if decisions < limits["min_right_decisions"]:
        broken.append(
            f"{decisions:.1%} of the router's decisions are right, {limits['min_right_decisions']:.1%} are asked for"
            " (min_right_decisions); try: a larger routing share in `split`, or another `router.threshold`"
        )
    error = report["expected_calibration_error"]
    if error > limits["max_calibration_error"]:
        broken.append(
            f"the router's calibration error is {error}, at most {limits['max_calibration_error']} is allowed"
            " (max_calibration_error); try: a larger routing share in `split`"
        )
    gain = 100 * (report["system"]["share"] - report["adapter"]["share"])
    if gain < limits["min_system_gain"]:
        broken.append(
            f"the system is {gain:.2f} points above the adapter alone, {limits['min_system_gain']} are asked for"
            " (min_system_gain); try: better modifiers, or none"
        )
    return broken


def gate_system(report: Path, verdict: Path, *, limits: dict[str, float]) -> None:
    """Write the verdict if every limit is kept, else raise InputError with figure, limit and what to try."""
    if broken := failures(read_json(report), limits):
        raise InputError(f"the gate of the system is closed (see {report}):\n  " + "\n  ".join(broken))
    write_json(verdict, {"model": "system", "passed": sorted(limits)})
