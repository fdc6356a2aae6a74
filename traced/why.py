"""Say why a step is up to date, would be restored, or must run.

    python -m traced.why [TARGET ...] [--config KEY=VALUE ...] [--json]

TARGET is a file of the graph, or a rule. Without any, it is what a plain `snakemake` builds. --config is Snakemake's.
Nothing is changed.
"""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from traced.graph import key_and_value, open_graph
from traced.plan import Plan, Planned
from traced.step import Step


def as_row(planned: Planned, log: str) -> dict[str, Any]:
    """Return what is known of a step, as values for JSON."""
    return {
        "step": planned.step.name,
        "rule": planned.step.rule,
        "log": log,
        "verdict": planned.verdict.value,
        "changes": [vars(change) for change in planned.changes],
        "waits_for": planned.waits_for,
        "because": planned.because(),
    }


def explain(targets: frozenset[str], config: dict[str, str]) -> list[tuple[Planned, str]]:
    """Judge every step on the way to the targets, parents first. Returns it with the file of its log, or ""."""
    with open_graph(targets, config) as (tracer, steps, wanted):
        logs: dict[Step, str] = {step: str(next(iter(job.log), "")) for job, step in tracer.steps.items()}
        return [(one, logs[step]) for step, one in Plan(tracer.workspace, steps, wanted).of.items()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m traced.why", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--config", nargs="*", type=key_and_value, default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    planned = explain(frozenset(options.targets), dict(options.config))
    if options.json:
        print(json.dumps([as_row(*one) for one in planned], indent=2))  # noqa: T201
    else:
        rows = [(one.step.name, one.verdict.value, "\n".join(one.because())) for one, _ in planned]
        print(tabulate(rows, headers=("step", "verdict", "because"), maxcolwidths=(48, 28, 80)))  # noqa: T201


if __name__ == "__main__":
    main()
