"""dvc.yaml, params.json and dvc.lock: the graph and its current state, as DVC sees them.

params.json holds the settings that each step was given, so `dvc params diff` compares what counts. A stage of its own,
`settings`, tells DVC that these files follow from the configuration. After an edit of that, `dvc status` says so, and
`dvc repro` begins with this stage.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from traced import yaml12
from traced.digest import Digests
from traced.files import NOTES, write_whole
from traced.plan import Plan
from traced.step import PARAMS_FILE, Step
from traced.store import LOCK_FILE, Entry, read_lock

PIPELINE_FILE = "dvc.yaml"
SETTINGS = "settings"
COMMAND = "python -m traced.pipeline"
NOTE = "# Generated from the Snakefile by `{}`: edit the rules and the configuration instead.\n"


def literal(text: str) -> str:
    """Write a text so that DVC does not read a ${name} in it as a variable."""
    return text.replace("${", "\\${")


def stage_of(step: Step) -> dict[str, Any]:
    """Make the stage of dvc.yaml for a step. Outs that hold figures are metrics.

    For DVC, outs that are to stay here have no cache. So it neither pushes nor misses them.
    """
    stage: dict[str, Any] = {"cmd": literal(step.command), "deps": list(map(literal, step.deps))}
    if step.values:
        stage["params"] = [{PARAMS_FILE: [step.name]}]
    metrics = [path for path in step.outs if path in step.metrics]
    outs = [path for path in step.outs if path not in metrics]
    stage["outs"] = [{literal(path): {"cache": False}} if path in step.kept_here else literal(path) for path in outs]
    stage["metrics"] = list(map(literal, metrics))
    return {key: value for key, value in stage.items() if value}


def stages_of(path: Path) -> dict[str, Any]:
    """Read the stages of a dvc.yaml. One that is damaged is as good as none: it is generated."""
    try:
        stages = yaml12.load(path).get("stages")
    except (OSError, ValueError, AttributeError, RecursionError, yaml.YAMLError):
        return {}
    return stages if isinstance(stages, dict) else {}


class Pipeline:
    """The three files, and how they follow from the steps of a graph."""

    def __init__(self, settings_files: Iterable[Path], plots: list[dict[str, Any]], refresh: str = COMMAND) -> None:
        self.settings_files = [str(path) for path in settings_files]
        self.plots, self.refresh = plots, refresh
        # As they were when the configuration was read. An edit during the run must show afterwards.
        self.settings = {path: yaml12.load(Path(path)) for path in self.settings_files}

    def stages(self, steps: Iterable[Step]) -> dict[str, Any]:
        """Make the stages of dvc.yaml, by name."""
        stages: dict[str, Any] = {}
        if self.settings_files:
            params = [{path: None} for path in self.settings_files]
            stages[SETTINGS] = {"cmd": COMMAND, "params": params, "outs": [{PARAMS_FILE: {"cache": False}}]}
        for step in sorted(steps, key=lambda step: step.name):
            if step.name in stages:
                raise ValueError(f"two steps are called {step.name}: rename a rule or a wildcard's value")
            stages[step.name] = stage_of(step)
        return stages

    def texts(self, steps: Iterable[Step]) -> dict[str, bytes]:
        """Write the texts of dvc.yaml and params.json."""
        steps = list(steps)
        pipeline: dict[str, Any] = {"stages": self.stages(steps)}
        if self.plots:
            pipeline["plots"] = self.plots
        values = {step.name: step.values for step in sorted(steps, key=lambda step: step.name) if step.values}
        note = NOTE.format(COMMAND).encode()
        params = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
        return {PIPELINE_FILE: note + yaml12.dump(pipeline), PARAMS_FILE: params.encode()}

    def settings_entry(self) -> Entry:
        """Make the entry of dvc.lock for the stage `settings`."""
        found = Digests(NOTES).of(PARAMS_FILE)
        assert found is not None
        return {"cmd": COMMAND, "params": self.settings, "outs": [found.entry(PARAMS_FILE)]}

    def write(self, plan: Plan, whole: bool) -> str:
        """Write what the plan of a finished run knows. Return a line for the user, or "".

        After a `whole` run, the files are those of this graph. Otherwise only dvc.lock is written, for the steps that
        dvc.yaml describes just as this run knew them.
        """
        known = {planned.step.name: planned.entry for planned in plan.of.values() if planned.entry}
        lock = read_lock(Path(LOCK_FILE))
        message = ""
        if whole:
            for name, text in self.texts(plan.of).items():
                write_if_new(Path(name), text)
            names = set(self.stages(plan.of))
            if self.settings_files:
                known[SETTINGS] = self.settings_entry()
        else:
            described = stages_of(Path(PIPELINE_FILE))
            ours = self.stages(plan.of)
            names = {name for name, stage in described.items() if name not in ours or stage == ours[name]}
            if left_out := sorted(set(known) - names):
                message = (
                    f"dvc.yaml is of another configuration, so dvc.lock leaves out {len(left_out)} steps, such as"
                    f" {left_out[0]}: `{self.refresh}` writes it anew"
                )
        stages = {name: entry for name, entry in sorted({**lock, **known}.items()) if name in names}
        if stages != lock:
            write_whole(Path(LOCK_FILE), yaml12.dump({"schema": "2.0", "stages": stages}), durable=True)
        return message


def write_if_new(path: Path, text: bytes) -> bool:
    """Write a file, unless it holds just that. Return whether it was written."""
    if path.exists() and path.read_bytes() == text:
        return False
    write_whole(path, text)
    return True
