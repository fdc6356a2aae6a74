"""Say how long each step took when it ran here last, and the most memory that one of its processes held.

    python -m traced.spent [TARGET ...] [--config KEY=VALUE ...] [--json]

TARGET is a file of the graph, or a rule. Without any, it is what a plain `snakemake` builds. --config is Snakemake's. A
step whose outs are not up to date, or came from a remote, is left out.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from traced.graph import key_and_value, open_graph
from traced.plan import Plan
from traced.store import hash_of, key_of, outs_of
from traced.workspace import Workspace


@dataclass(frozen=True)
class Spent:
    """What the last run of a step took."""

    step: str
    rule: str
    ended: float
    """Seconds since 1970."""
    seconds: float
    peak_bytes: int
    file_bytes: int
    """What it wrote."""


def spent_on(targets: frozenset[str], config: dict[str, str]) -> list[Spent]:
    """List what the steps on the way to the targets took, parents first."""
    with open_graph(targets, config) as (tracer, steps, wanted):
        return spent_by(tracer.workspace, Plan(tracer.workspace, steps, wanted))


def spent_by(workspace: Workspace, plan: Plan) -> list[Spent]:
    """List what the steps of a plan took, parents first."""
    found = []
    for step, planned in plan.of.items():
        if not planned.entry:
            continue
        runs = workspace.store.runs_of(key_of(planned.entry))
        same = [run for run in runs if run.entry == hash_of(planned.entry) and run.seconds is not None]
        if same:
            last, wrote = same[-1], sum(content.size for content in outs_of(planned.entry).values())
            found.append(Spent(step.name, step.rule, last.ended, last.seconds or 0.0, last.peak_bytes or 0, wrote))
    return found


def busy_seconds(spent: Iterable[Spent]) -> float:
    """Return for how long at least one of the steps was running."""
    busy, until = 0.0, float("-inf")
    for begin, end in sorted((one.ended - one.seconds, one.ended) for one in spent):
        busy += max(0.0, end - max(begin, until))
        until = max(until, end)
    return busy


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m traced.spent", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--config", nargs="*", type=key_and_value, default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    spent = spent_on(frozenset(options.targets), dict(options.config))
    if options.json:
        print(json.dumps({"steps": [vars(one) for one in spent], "busy_seconds": busy_seconds(spent)}))  # noqa: T201
        return
    rows = [(one.step, f"{one.seconds:,.1f}", f"{one.peak_bytes / 1e6:,.0f}") for one in spent]
    rows.append(("while at least one of them ran", f"{busy_seconds(spent):,.1f}", ""))
    print(tabulate(rows, headers=("step", "seconds", "MB"), colalign=("left", "right", "right"), disable_numparse=True))  # noqa: T201


if __name__ == "__main__":
    main()
