"""What a job reads and writes, in terms that Snakemake and DVC share."""

import hashlib
import json
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from traced.files import NOTES, write_whole

# DVC leaves these keys out of its hashes, at any depth. So a setting of that name would not count.
IGNORED_BY_DVC = {"size", "nfiles"}
# JSON: DVC reads this file again for every stage, and takes a hundred times as long for YAML.
PARAMS_FILE = "params.json"
# An output of this name holds figures, which `dvc metrics show` shows.
METRICS = "report"
PATHS = ("deps", "outs", "metrics", "kept_here", "unwatched")
# Bytes of a text that stands on the command line itself. Snakemake shows the command of a step that fails.
LONGEST_ARGUMENT = 512
ARGUMENTS = NOTES / "arguments"
# Bytes of a step's name. Files are called by it.
LONGEST_NAME = 160


def flat(named: Any) -> list[str]:
    """List the paths of Snakemake's input or output, each once, sorted."""
    return sorted({str(path) for path in named})


def named(paths: Any) -> list[Any]:
    """List the paths of Snakemake's input or output by name and in order: a command may tell them apart by both."""
    items = paths.items() if hasattr(paths, "items") else ()
    return [
        [str(path) for path in paths],
        {name: as_list(value) for name, value in items},
    ]


def as_list(value: Any) -> list[str]:
    """Return one path, or several, as a list."""
    return [value] if isinstance(value, str) else list(value)


def short_digest(value: Any) -> str:
    """Return a short digest of a value of JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def check_keys(settings: Mapping[str, Any]) -> None:
    """Raise ValueError if DVC would overlook a setting."""
    if found := ignored_keys(settings):
        raise ValueError(
            f"settings called {', '.join(sorted(found))} are no part of DVC's traces: give them another name"
        )


def ignored_keys(settings: Any) -> set[str]:
    """Return the keys in `settings` that DVC would leave out, at any depth."""
    if isinstance(settings, Mapping):
        return IGNORED_BY_DVC.intersection(settings).union(*map(ignored_keys, settings.values()))
    return set().union(*map(ignored_keys, settings)) if isinstance(settings, list | tuple) else set()


def argument(text: str) -> str:
    """Return a text in the form in which a person can read a command line: a long one is put into a file, as @FILE.

    Besides, Linux takes no argument of more than 128 KiB, and a shell command with all its arguments is one.
    """
    data = text.encode()
    if len(data) < LONGEST_ARGUMENT:
        return text
    path = ARGUMENTS / f"{hashlib.sha256(data).hexdigest()[:32]}.json"
    try:
        if path.is_file() and path.read_bytes() == data:
            path.touch()
        else:
            write_whole(path, data)
    except OSError:  # a dry run in a folder that may not be written to
        return text
    return f"@{path}"


def forget_arguments(days: int = 30) -> None:
    """Remove the files of arguments that no command has had for so long."""
    for path in ARGUMENTS.glob("*.json"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - 86_400 * days:
                path.unlink()


def of_argument(text: str) -> str:
    """Return the text that `argument` made an argument of."""
    return Path(text[1:]).read_text() if text.startswith("@") else text


class Trace:
    """The function for the param `trace` of a rule. It returns all that a job depends on, as one JSON text.

    Args:
        settings: what the step is given. A value may be a function of the wildcards.
        network: whether the step needs the network.
        unwatched: files and folders that it may read, and that cannot change what it writes.
        kept_here: names of outputs that must not leave this machine: `dvc push` passes over them.

    ValueError if DVC would overlook a setting.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        network: bool = False,
        unwatched: Iterable[str] = (),
        kept_here: Iterable[str] = (),
    ) -> None:
        check_keys(dict(settings))
        self.settings = settings
        self.network, self.unwatched, self.kept_here = network, list(unwatched), list(kept_here)
        self.shell = ""
        """The digest of the rule's shell command, which `engine.install` sets."""

    def __call__(self, wildcards: Any, input: Any, output: Any) -> str:
        """Describe one job."""
        values = {key: value(wildcards) if callable(value) else value for key, value in self.settings.items()}
        check_keys(values)
        described = {
            "wildcards": dict(wildcards),
            "deps": flat(input),
            "outs": flat(output),
            "metrics": [str(path) for name, path in output.items() if name == METRICS],
            "kept_here": flat(path for name in self.kept_here for path in as_list(output[name])),
            "settings": values,
            "shell": short_digest([self.shell, named(input), named(output)]),
            "network": self.network,
            "unwatched": self.unwatched,
        }
        return argument(json.dumps(described, sort_keys=True))


def params(**settings: Any) -> dict[str, Any]:
    """Make the params of a rule: its settings, and `trace`."""
    return {**settings, "trace": Trace(settings)}


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
    kept_here: tuple[str, ...] = ()
    """The outs that no remote gets."""
    unwatched: tuple[str, ...] = ()
    """What it may read besides, without being run again for that."""
    network: bool = False
    """Whether it needs the network."""
    shell: str = ""
    """A digest of the rule's shell command, as it stands in the Snakefile, and of what its paths are called there."""

    @classmethod
    def of(cls, rule: str, trace: str) -> "Step":
        """Make the step that the param `trace` of a rule describes."""
        given = json.loads(of_argument(trace))
        settings = json.dumps(given["settings"], sort_keys=True)
        paths: dict[str, Any] = {name: tuple(given.get(name, ())) for name in PATHS}
        wildcards = tuple(given["wildcards"].values())
        rest: dict[str, Any] = {name: given[name] for name in ("shell", "network") if name in given}
        return cls(rule, wildcards, settings=settings, **rest, **paths)

    @property
    def name(self) -> str:
        """The name of the stage in dvc.yaml: the rule and its wildcards. No two steps share one.

        DVC allows few signs in a name. Where others are lost, a digest of the wildcards stands for them.
        """
        if all(re.fullmatch(r"\w+", word) for word in self.wildcards):
            name = "-".join([self.rule, *self.wildcards])
            if len(name.encode()) <= LONGEST_NAME:
                return name
        digest = hashlib.sha256(json.dumps(self.wildcards).encode()).hexdigest()[:8]
        readable = re.sub(r"[^\w-]+", "_", "-".join([self.rule, *self.wildcards]))
        return f"{readable.encode()[:LONGEST_NAME].decode(errors='ignore')}-{digest}"

    @property
    def command(self) -> str:
        """The command of the stage: what `dvc repro` runs. The comment tells which shell command the rule has."""
        shell = f" # {self.shell}" if self.shell else ""
        return f"snakemake --cores all --allowed-rules {self.rule} -- {' '.join(map(quote, self.outs))}{shell}"

    @property
    def values(self) -> dict[str, Any]:
        """The settings of the step."""
        return dict(json.loads(self.settings))
