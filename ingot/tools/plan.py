"""Say what a build needs, step by step, without running anything: `ingot plan [TARGET ...] [--preset P] [--json]`.

Bytes, memory, time and money come from the configuration and the shape of the model. What ran on this machine before
corrects them, and the plan tells how far off it was. The exit status is 1 if the build cannot be done here.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from ingot.errors import InputError
from ingot.planning import compression
from ingot.planning import plan as planning
from ingot.planning.experience import EXPERIENCE, Experience
from ingot.planning.weights import weights_of
from ingot.settings.load import read_mapping
from ingot.workflow.build import open_build
from traced.graph import open_graph
from traced.plan import Plan, Verdict
from traced.spent import spent_by

ROOT = Path(__file__).resolve().parents[2]


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    whole = argparse.ArgumentParser(prog="ingot plan", description=(__doc__ or "").splitlines()[0])
    whole.add_argument("targets", nargs="*", metavar="TARGET", help="files or rules; all that a plain build makes")
    whole.add_argument("--preset", help="the preset to plan, instead of that of config.yaml")
    whole.add_argument("--profile", default="", help="the Snakemake profile that the build will use")
    whole.add_argument("--all", action="store_true", help="every step, also those that are up to date")
    whole.add_argument("--json", action="store_true", help="print JSON")
    return whole


def plan(options: argparse.Namespace) -> dict[str, Any]:
    """Make the plan."""
    given = read_mapping(ROOT / "config.yaml") | ({"preset": options.preset} if options.preset else {})
    build = open_build(given, ROOT)
    config = {"preset": options.preset} if options.preset else {}
    shape = planning.config_of(build, ROOT)
    searches = build.settings.budget or any("frontier" in target for target in options.targets)
    tried = [quant for _, quant in build.candidates]
    wanted = [*build.types, *tried, *planning.OFFERED] if searches else build.types
    last = planning.config_after(build, shape)
    sizes = planning.gguf_bytes(last, list(dict.fromkeys(wanted)), ROOT)
    situation = planning.situation_of(build, shape, sizes)
    experience = Experience(EXPERIENCE)
    with open_graph(frozenset(options.targets), config) as (tracer, steps, targets):
        judged = Plan(tracer.workspace, steps, targets)
        spent = {one.step: one for one in spent_by(tracer.workspace, judged)}
    for name, one in spent.items():
        wildcards = next(step.wildcards for step in steps if step.name == name)
        measured = {"file_bytes": one.file_bytes, "memory_bytes": one.peak_bytes, "seconds": one.seconds}
        raw = planning.raw_needs(situation, one.rule, wildcards)
        experience.note_measured(keyed(build.settings.preset, name), one.rule, raw, measured, one.ended)
    to_run = [step for step, planned in judged.of.items() if planned.verdict in (Verdict.RUN, Verdict.WAIT)]
    shown = steps if options.all else to_run
    named = [(keyed(build.settings.preset, step.name), step.rule, step.wildcards) for step in shown]
    lines = planning.lines_of(situation, named, experience)
    for (name, rule, wildcards), line in zip(named, lines, strict=True):
        experience.note_said(name, rule, planning.raw_needs(situation, rule, wildcards), line.needs, time.time())
    experience.save()
    served = [(keyed(build.settings.preset, f"pack-{build.served}"), "pack", (build.served,))] if build.served else []
    packed = sum(line.needs.file_bytes for line in planning.lines_of(situation, served, experience))
    reasons = planning.budget_reasons(build, packed, sizes, weights_of(last).parameters)
    rounded = "" if "distil" in build.chain else build.served  # who trains for a type loses less
    lines_here = compression.line_alone(build.settings.preset, compression.known()["lines"])
    here = "slurm" not in options.profile
    running = {keyed(build.settings.preset, step.name) for step in to_run}
    still = [line for line in lines if line.step in running]
    reasons += planning.reasons_against(situation, still, shutil.disk_usage(".").free, here)
    return {
        "preset": build.settings.preset,
        "parameters": situation.weights.parameters,
        "steps": [
            {
                "step": line.name,
                "file_bytes": round(line.needs.file_bytes),
                "memory_bytes": round(line.needs.memory_bytes),
                "gpu_memory_bytes": round(line.needs.gpu_memory_bytes),
                "seconds": round(line.needs.seconds, 1),
                "cost": line.cost,
            }
            for line in lines
        ],
        "sum": {
            "file_bytes": round(sum(line.needs.file_bytes for line in lines)),
            "memory_bytes": round(max((line.needs.memory_bytes for line in lines), default=0)),
            "gpu_memory_bytes": round(max((line.needs.gpu_memory_bytes for line in lines), default=0)),
            "seconds": round(sum(line.needs.seconds for line in lines), 1),
            "cost": round(sum(line.cost for line in lines), 2),
        },
        "changed": compression.changed_by(rounded, sizes, lines_here),
        "up_to_date": len(steps) - len(to_run),
        "errors": {key: {"median": round(error, 4), "steps": n} for key, (error, n) in experience.errors().items()},
        "feasible": not reasons,
        "reasons": reasons,
    }


def keyed(preset: str, step: str) -> str:
    """Name a step among those of all presets."""
    return f"{preset}:{step}"


def duration(seconds: float) -> str:
    """Write a time."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60:02} min" if hours else f"{rest // 60} min {rest % 60:02} s"


def text_of(made: dict[str, Any]) -> str:
    """Write a plan for a person: the long steps, the sum, and what is against it."""
    head = ("step", "MB written", "MB of memory", "MB of GPU", "time", "USD")
    rows = [row_of(one["step"], one) for one in made["steps"]]
    rows.append(row_of("all (most memory; times one after the other)", made["sum"]))
    lines = [f"{made['preset']}: {made['parameters'] / 1e6:,.1f} million weights", ""]
    lines.append(tabulate(rows, headers=head, colalign=("left", *["right"] * 5), disable_numparse=True))
    if made["up_to_date"]:
        lines.append(f"\n{made['up_to_date']} steps are up to date, and not counted; --all shows them, too.")
    if made["changed"]:
        shares = compression.percent(made["changed"]["of_next_tokens"])
        lines.append(
            f"\nRounding to {made['changed']['type']} is expected to change {shares} of the next tokens"
            " (docs/compression.md)."
        )
    names = {"file_bytes": "bytes", "memory_bytes": "memory", "seconds": "time"}
    if made["errors"]:
        said = ", ".join(
            f"{names[key]} {one['median']:.0%} ({one['steps']} steps)" for key, one in made["errors"].items()
        )
        lines.append(f"\nEarlier plans were off by, in the middle: {said}.")
    else:
        lines.append("\nNo step that was planned has run here yet, so nothing corrects these figures.")
    lines += ["", *(f"NOT FEASIBLE: {reason}" for reason in made["reasons"])] if made["reasons"] else ["", "Feasible."]
    return "\n".join(lines)


def row_of(name: str, one: dict[str, Any]) -> tuple[str, ...]:
    """Write a row of the table."""
    sizes = [f"{one[key] / 1e6:,.1f}" if one[key] else "" for key in ("file_bytes", "memory_bytes", "gpu_memory_bytes")]
    return (name, *sizes, duration(one["seconds"]), f"{one['cost']:,.2f}" if one["cost"] else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the plan."""
    options = parser().parse_args(arguments)
    made = plan(options)
    print(json.dumps(made, indent=2) if options.json else text_of(made))
    return 0 if made["feasible"] else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        sys.exit(f"ingot: plan: {error}")
