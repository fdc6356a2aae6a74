"""What a job reads and writes, in terms that Snakemake and DVC share."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

# DVC leaves these keys out of its hashes, at any depth. So a setting of that name would not count.
IGNORED_BY_DVC = {"size", "nfiles"}
PARAMS_FILE = "params.yaml"
# An output of this name holds figures, which `dvc metrics show` shows.
METRICS = "report"


def flat(named: Any) -> list[str]:
    """List the paths of Snakemake's input or output, each once, sorted."""
    return sorted({str(path) for path in named})


def ignored_keys(settings: Any) -> set[str]:
    """Return the keys in `settings` that DVC would leave out, at any depth."""
    if isinstance(settings, Mapping):
        return IGNORED_BY_DVC.intersection(settings).union(*map(ignored_keys, settings.values()))
    return set().union(*map(ignored_keys, settings)) if isinstance(settings, list) else set()


def trace_of(settings: Mapping[str, Any]) -> Callable[..., str]:
    """Make the function for the param `trace` of a rule. It returns all that a job depends on, as one JSON text.

    A setting may be a function of the wildcards. ValueError if DVC would overlook a setting.
    """
    if found := ignored_keys(dict(settings)):
        raise ValueError(
            f"settings called {', '.join(sorted(found))} are no part of DVC's traces: give them another name"
        )

    def trace(wildcards: Any, input: Any, output: Any) -> str:
        values = {key: value(wildcards) if callable(value) else value for key, value in settings.items()}
        described = {
            "wildcards": dict(wildcards),
            "deps": flat(input),
            "outs": flat(output),
            "metrics": [str(path) for name, path in output.items() if name == METRICS],
            "settings": values,
        }
        return json.dumps(described, sort_keys=True)

    return trace


def params(**settings: Any) -> dict[str, Any]:
    """Make the params of a rule: its settings, and `trace`."""
    return {**settings, "trace": trace_of(settings)}


@dataclass(frozen=True)
class Step:
    """One job: its rule, its wildcards, and all that its result depends on."""

    rule: str
    wildcards: tuple[str, ...]
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    settings: str
    """JSON of the settings, sorted by key."""
    metrics: tuple[str, ...] = ()
    """The outs that hold figures."""

    @classmethod
    def of(cls, rule: str, trace: str) -> "Step":
        """Make the step that the param `trace` of a rule describes."""
        given = json.loads(trace)
        settings = json.dumps(given["settings"], sort_keys=True)
        paths = {name: tuple(given.get(name, ())) for name in ("deps", "outs", "metrics")}
        return cls(rule, tuple(given["wildcards"].values()), settings=settings, **paths)

    @property
    def name(self) -> str:
        """The name of the stage in dvc.yaml: the rule and its wildcards."""
        return re.sub(r"[^\w-]", "_", "-".join([self.rule, *self.wildcards]))

    @property
    def command(self) -> str:
        """The command of the stage: what `dvc repro` runs."""
        return f"snakemake --cores all --allowed-rules {self.rule} -- {' '.join(map(quote, self.outs))}"

    @property
    def values(self) -> dict[str, Any]:
        """The settings of the step."""
        return dict(json.loads(self.settings))
