"""Say why a step is up to date, would be restored, or must run.

    python -m traced.why [TARGET ...] [--json]

TARGET is a file of the graph, or a rule. Without any, it is what a plain `snakemake` builds. Nothing is changed.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from traced.graph import open_graph
from traced.plan import Plan, Planned


def as_row(planned: Planned) -> dict[str, Any]:
    """Return what is known of a step, as values for JSON."""
    return {
        "step": planned.step.name,
        "verdict": planned.verdict.value,
        "changes": [vars(change) for change in planned.changes],
        "waits_for": planned.waits_for,
    }


def explain(targets: frozenset[str]) -> list[Planned]:
    """Judge every step on the way to the targets, parents first."""
    with open_graph(targets) as (tracer, steps, wanted):
        return list(Plan(tracer.workspace, steps, wanted).of.values())


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, or JSON."""
    arguments = sys.argv[1:] if arguments is None else arguments
    planned = explain(frozenset(name for name in arguments if name != "--json"))
    if "--json" in arguments:
        print(json.dumps([as_row(one) for one in planned], indent=2))  # noqa: T201
    else:
        rows = [(one.step.name, one.verdict.value, "\n".join(one.because())) for one in planned]
        print(tabulate(rows, headers=("step", "verdict", "because"), maxcolwidths=(48, 28, 80)))  # noqa: T201


if __name__ == "__main__":
    main()
