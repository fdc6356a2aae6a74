"""Check the last gate: modifiers, router, compression and the whole system must keep the limits of the preset."""

from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.records import read_json, write_json
from ingot.measuring.significance import holm
from ingot.settings.measure import GateSystem

# {limit in the preset: (what it limits, 1 if the limit is the most or -1 if it is the least allowed, what to try)}
LIMITS = {
    "min_modifier_gain": ("points that a modifier wins in its domain", -1, "more steps or more training prompts"),
    "min_right_decisions": ("share of right decisions of the router", -1, "a larger routing share in `split`"),
    "max_calibration_error": ("calibration error of the router", 1, "a larger routing share in `split`"),
    "max_oracle_gap": ("points below a perfect router", 1, "a larger routing share in `split`, or better modifiers"),
    "max_forgetting": ("points lost by domain against the base alone", 1, "a larger routing share in `split`"),
    "min_routing_gain": ("points of the system above one route for everything", -1, "better modifiers, or no router"),
    "max_p_value": ("p value of the gain, corrected for several tests", 1, "more benchmark items, or a larger gain"),
    "min_system_gain": ("points of the system above the uncompressed model", -1, "better modifiers, or none"),
    "max_compressed_loss": (
        "points that the served type loses against the uncompressed model",
        1,
        "a type with more bits",
    ),
    "max_compressed_share": ("packed bytes of the served type over those of F16", 1, "a type with fewer bits"),
}


def percent(report: dict[str, Any]) -> float:
    """Read the exact match of a model, in percent, from the report of its measurement."""
    return 100 * float(report["exact_match"]["all"]["share"])


def figures(
    limits: GateSystem,
    system: dict[str, Any],
    uncompressed: dict[str, Any],
    served: dict[str, Any],
    whole: dict[str, Any],
    packed: dict[str, Any],
) -> list[tuple[str, str, float]]:
    """List every figure that has a limit: (limit, what it is a figure of, figure).

    Only the gains that are asked for are tested, and corrected for being several.

    Raises InputError if a domain has no benchmark questions: its modifier cannot be judged.
    """
    limited = [
        ("min_right_decisions", "router", system["right_decisions"]["share"]),
        ("max_calibration_error", "router", system["expected_calibration_error"]),
        ("max_oracle_gap", "system", system["oracle_gap"]),
        ("max_forgetting", "system", system["forgetting"]),
        ("min_system_gain", "system", system["versus_uncompressed"]["gain"]),
        ("min_routing_gain", "system", system["versus_constant"]["gain"]),
        ("max_compressed_loss", served["model"], round(percent(uncompressed) - percent(served), 2)),
        ("max_compressed_share", served["model"], round(packed["packed_bytes"] / whole["bytes"], 4)),
    ]
    for domain, measured in system["modifiers"].items():
        if not measured["base"]["of"]:
            raise InputError(f"no benchmark item has domain {domain!r}: its modifier cannot be judged; add some")
        limited.append(("min_modifier_gain", f"modifier {domain}", measured["gain"]))
    gains = [
        ("min_system_gain", "system", system["versus_uncompressed"]),
        ("min_routing_gain", "router", system["versus_constant"]),
        *(("min_modifier_gain", f"modifier {domain}", measured) for domain, measured in system["modifiers"].items()),
    ]
    p_values = holm({of: gain["p_value"] for limit, of, gain in gains if getattr(limits, limit) is not None})
    tested = [("max_p_value", of, p_value) for of, p_value in p_values.items()]
    return [figure for figure in [*limited, *tested] if getattr(limits, figure[0]) is not None]


def broken_limits(measured: list[tuple[str, str, float]], limits: GateSystem) -> list[str]:
    """List the limits that are broken, in one sentence each."""
    broken = []
    for name, of, figure in measured:
        limit = getattr(limits, name)
        meaning, sign, advice = LIMITS[name]
        if not sign * figure <= sign * limit:  # written in this way, NaN breaks the limit
            bound = "at most" if sign > 0 else "at least"
            broken.append(f"{of}: {meaning}: {figure}, {bound} {limit} is asked for ({name}); try: {advice}")
    return broken


def gate_system(
    system: Path,
    uncompressed: Path,
    served: Path,
    whole: Path,
    packed: Path,
    verdict: Path,
    *,
    limits: GateSystem,
) -> None:
    """Write the verdict if every limit is kept.

    `system`, `uncompressed` and `served` are the measurements of the system and of two models. `whole` and `packed` are
    the reports on packing the types F16 and the served one.

    Raises InputError if a limit is broken. The message has the figures, the limits, and what to try.
    """
    measured = figures(limits, *map(read_json, (system, uncompressed, served, whole, packed)))
    if broken := broken_limits(measured, limits):
        raise InputError(f"the gate of the system is closed (see {system}):\n  " + "\n  ".join(broken))
    write_json(verdict, {"model": "system", "passed": sorted(limits.model_dump(exclude_none=True))})
