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
from ingot.planning.estimates import Situation
from ingot.planning.experience import EXPERIENCE, Experience, Needs
from ingot.planning.plan import Line
from ingot.planning.weights import weights_of
from ingot.settings.load import read_mapping
from ingot.workflow.build import Build, open_build
from traced.graph import open_graph
from traced.plan import Plan, Verdict
from traced.spent import Spent, spent_by
from traced.step import Step

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
    config = {"preset": options.preset} if options.preset else {}
    build = open_build(read_mapping(ROOT / "config.yaml") | config, ROOT)
    shape = planning.config_of(build, ROOT)
    last = planning.config_after(build, shape)
    searches = build.settings.budget or any("frontier" in target for target in options.targets)
    tried = [*(quant for _, quant in build.candidates), *planning.OFFERED] if searches else []
    sizes = planning.gguf_bytes(last, list(dict.fromkeys([*build.types, *tried])), ROOT)
    situation = planning.situation_of(build, shape, sizes)
    experience = Experience(EXPERIENCE)
    with open_graph(frozenset(options.targets), config) as (tracer, steps, targets):
        judged = Plan(tracer.workspace, steps, targets)
        spent = spent_by(tracer.workspace, judged)
    learn(experience, situation, steps, spent)
    to_run = [step for step, planned in judged.of.items() if planned.verdict in (Verdict.RUN, Verdict.WAIT)]
    lines = planned_lines(experience, situation, steps if options.all else to_run)
    experience.save()
    reasons = budget_reasons(experience, situation, weights_of(last).parameters)
    running = {keyed(build, step.name) for step in to_run}
    still = [line for line in lines if line.step in running]
    here = "slurm" not in options.profile
    reasons += planning.reasons_against(situation, still, shutil.disk_usage(".").free, here)
    rounded = "" if "distil" in build.chain else build.served  # who trains for a type loses less
    line_here = compression.line_alone(build.settings.preset, compression.known()["lines"])
    return {
        "preset": build.settings.preset,
        "parameters": situation.weights.parameters,
        "steps": [{"step": line.name, **figures(line.needs), "cost": line.cost} for line in lines],
        "sum": figures(sum_of(lines)) | {"cost": round(sum(line.cost for line in lines), 2)},
        "changed": compression.changed_by(rounded, sizes, line_here),
        "up_to_date": len(steps) - len(to_run),
        "errors": {key: {"median": round(error, 4), "steps": n} for key, (error, n) in experience.errors().items()},
        "feasible": not reasons,
        "reasons": reasons,
    }


def learn(experience: Experience, situation: Situation, steps: Sequence[Step], spent: Sequence[Spent]) -> None:
    """Note what steps took that have run here."""
    wildcards = {step.name: step.wildcards for step in steps}
    for one in spent:
        measured = {"file_bytes": one.file_bytes, "memory_bytes": one.peak_bytes, "seconds": one.seconds}
        raw = planning.raw_needs(situation, one.rule, wildcards[one.step])
        experience.note_measured(keyed(situation.build, one.step), one.rule, raw, measured, one.ended)


def planned_lines(experience: Experience, situation: Situation, steps: Sequence[Step]) -> list[Line]:
    """Make the lines of the plan, and note what they say."""
    named = [(keyed(situation.build, step.name), step.rule, step.wildcards) for step in steps]
    lines = planning.lines_of(situation, named, experience)
    for (name, rule, wildcards), line in zip(named, lines, strict=True):
        experience.note_said(name, rule, planning.raw_needs(situation, rule, wildcards), line.needs, time.time())
    return lines


def budget_reasons(experience: Experience, situation: Situation, parameters: int) -> list[str]:
    """Say what the budget does not allow."""
    build, quant = situation.build, situation.build.served
    served = [(keyed(build, f"pack-{quant}"), "pack", (quant,))] if quant else []
    packed = sum(line.needs.file_bytes for line in planning.lines_of(situation, served, experience))
    return planning.budget_reasons(build, packed, situation.gguf_bytes, parameters)


def sum_of(lines: Sequence[Line]) -> Needs:
    """Add up what steps need one after the other."""
    needs = [line.needs for line in lines]
    return Needs(
        file_bytes=sum(one.file_bytes for one in needs),
        memory_bytes=max((one.memory_bytes for one in needs), default=0),
        gpu_memory_bytes=max((one.gpu_memory_bytes for one in needs), default=0),
        seconds=sum(one.seconds for one in needs),
    )


def figures(needs: Needs) -> dict[str, Any]:
    """Write what is needed in whole bytes and tenths of seconds."""
    whole = ("file_bytes", "memory_bytes", "gpu_memory_bytes")
    return {name: round(getattr(needs, name)) for name in whole} | {"seconds": round(needs.seconds, 1)}


def keyed(build: Build, step: str) -> str:
    """Name a step among those of all presets."""
    return f"{build.settings.preset}:{step}"


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
