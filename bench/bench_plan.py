"""How far off the plan is: what it says of the steps of a finished build, and what they took.

    python bench/bench_plan.py PRESET BUILD [LEARNED] [--write]

BUILD is the folder of a clone in which PRESET was built on this machine, with the commit that is there. LEARNED is that
of an earlier such build, here as well: then what the plan says after it has learned from that one is shown, too. Steps
of less than two seconds are left out: they are mostly start-up. `--write` puts the section of PRESET into
docs/bench-plan.md.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tabulate import tabulate

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # at the end: with `--here`, the code of that build comes first
from bench.sections import put_section  # noqa: E402

PAGE = ROOT / "docs/bench-plan.md"
QUANTITIES = {"file_bytes": ("MB written", 1e6, 0.01), "memory_bytes": ("MB of memory", 1e6, 0.1),
              "seconds": ("seconds", 1, 0.25)}  # fmt: skip
"""{quantity: (what it is called, its unit, the error that is wanted)}."""
HEAD = """# How far off the plan is

Written by `python bench/bench_plan.py PRESET BUILD LEARNED --write`. "Before" is what the plan says of the steps of a
build from configurations alone. "After" is what it says once it has learned from one other build of the preset on that
machine. An error is the difference to what was measured, as a share of that. Before, the sizes of models are exact, and
those of answers and records are guesses: nobody knows how long they will be.
"""
Row = dict[str, Any]


def steps_here(preset: str) -> list[Row]:
    """List the steps of the build in the working folder: what its own code estimates, and what was measured."""
    from ingot.planning import plan
    from ingot.planning.experience import SMALL
    from ingot.settings.load import read_mapping
    from ingot.workflow.build import open_build
    from traced.graph import open_graph
    from traced.plan import Plan
    from traced.spent import spent_by

    here = Path()
    build = open_build(read_mapping(here / "config.yaml") | {"preset": preset}, here)
    shape = plan.config_of(build, here)
    types = [*build.types, *(quant for _, quant in build.candidates)]
    sizes = plan.gguf_bytes(plan.config_after(build, shape), list(dict.fromkeys(types)), here)
    situation = plan.situation_of(build, shape, sizes)
    targets = (
        frozenset(["results/frontier/confirmed.json"])
        if Path("results/frontier/confirmed.json").exists()
        else frozenset()
    )
    found: list[Row] = []
    for wanted in {frozenset(), targets}:
        with open_graph(wanted, {"preset": preset}) as (tracer, steps, asked):
            wildcards = {step.name: step.wildcards for step in steps}
            spent = spent_by(tracer.workspace, Plan(tracer.workspace, steps, asked))
        for one in spent:
            measured = {"file_bytes": one.file_bytes, "memory_bytes": one.peak_bytes, "seconds": one.seconds}
            raw = plan.raw_needs(situation, one.rule, wildcards[one.step])
            if one.seconds >= SMALL and one.step not in {row["step"] for row in found}:
                found.append({"step": one.step, "rule": one.rule, "raw": vars(raw), "measured": measured})
    return found


def steps_of(preset: str, folder: Path) -> list[Row]:
    """The same of the build in another folder, by the code that is there."""
    command = [sys.executable, __file__, "--here", preset]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    rows: list[Row] = json.loads(done.stdout.splitlines()[-1])
    return rows


def learned(rows: list[Row], earlier: list[Row]) -> None:
    """Put what the plan says after an earlier build into each row."""
    from ingot.planning.experience import Experience, Needs

    with tempfile.TemporaryDirectory() as folder:
        experience = Experience(Path(folder) / "experience.json")
        for row in earlier:
            experience.note_measured(row["step"], row["rule"], Needs(**row["raw"]), row["measured"], 1.0)
        for row in rows:
            row["after"] = vars(experience.corrected(row["step"], row["rule"], Needs(**row["raw"])))


def errors(rows: list[Row], key: str, quantity: str) -> list[float]:
    """List the errors of what a plan says of a quantity."""
    return [abs(row[key][quantity] / row["measured"][quantity] - 1) for row in rows if row["measured"][quantity]]


def section(preset: str, rows: list[Row], said: dict[str, str]) -> str:
    """Write the section of a preset. `said` are the columns: {key: what it is called}."""
    lines = []
    for quantity, (name, _, wanted) in QUANTITIES.items():
        for key, what in said.items():
            found = errors(rows, key, quantity)
            within = sum(error <= wanted for error in found) / len(found)
            lines.append([name, what, f"{statistics.median(found):.1%}", f"{wanted:.0%}", f"{within:.0%}"])
    summary = tabulate(
        lines, ["quantity", "plan", "error in the middle", "wanted", "steps within it"], tablefmt="github",
        colalign=("left", "left", "right", "right", "right"), disable_numparse=True,
    )  # fmt: skip
    heads, table = ["step"], []
    for name, _, _ in QUANTITIES.values():
        heads += [f"{name}, {what}" for what in said.values()] + ["measured"]
    for row in sorted(rows, key=lambda row: -row["measured"]["seconds"]):
        cells = [row["step"]]
        for quantity, (_, unit, _) in QUANTITIES.items():
            cells += [f"{row[key][quantity] / unit:,.1f}" for key in (*said, "measured")]
        table.append(cells)
    align = ("left", *["right"] * (len(heads) - 1))
    whole = tabulate(table, heads, tablefmt="github", colalign=align, disable_numparse=True)
    when = f"{datetime.now(UTC):%Y-%m-%d}, {len(rows)} steps of two seconds or more, {os.cpu_count()} cores."
    return f"## {preset}\n\n{when}\n\n{summary}\n\n{whole}\n"


def main() -> None:
    """Print the section, or put it into the page."""
    if sys.argv[1:2] == ["--here"]:
        print(json.dumps(steps_here(sys.argv[2])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset")
    parser.add_argument("build", type=Path)
    parser.add_argument("learned", type=Path, nargs="?")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    rows, said = steps_of(options.preset, options.build), {"raw": "before"}
    if options.learned:
        learned(rows, steps_of(options.preset, options.learned))
        said["after"] = "after"
    if not rows:
        raise SystemExit(f"{options.build}: no step of {options.preset} was timed there; build it first")
    text = section(options.preset, rows, said)
    print(text)
    if options.write:
        put_section(PAGE, HEAD, text)


if __name__ == "__main__":
    main()
