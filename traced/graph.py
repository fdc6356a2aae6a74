"""The graph of the Snakefile in this folder. Nothing is run."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.exceptions import RuleException, WorkflowError
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings

from traced.step import Step
from traced.tracer import Tracer


def key_and_value(text: str) -> tuple[str, str]:
    """Read what a command line says behind --config. ArgumentTypeError for anything but KEY=VALUE."""
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise argparse.ArgumentTypeError(f"{text!r}: KEY=VALUE is expected, such as preset=tiny")
    return key, value


@contextmanager
def open_graph(
    targets: frozenset[str] = frozenset(), config: dict[str, Any] | None = None
) -> Iterator[tuple[Tracer, list[Step], list[Step]]]:
    """Yield the tracer of the Snakefile here, the steps on the way to targets, parents first, and the targets.

    What Snakemake says of a graph that cannot be made ends the command.
    """
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(config=config or {}),
            snakefile=Path("Snakefile"),
        )
        try:
            workflow.dag(DAGSettings(targets=set(targets)))
            inner = workflow._workflow
            inner._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True)
            inner._build_dag()
        except (RuleException, WorkflowError) as error:
            raise SystemExit(str(error)) from None
        tracer = inner.tracer
        yield tracer, tracer.steps_of(inner.dag), tracer.targets_of(inner.dag)
