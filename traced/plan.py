"""What is current, what can be restored, what must run, and why. Content decides, before anything is touched."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from traced.digest import Content
from traced.lock import last_key
from traced.step import Step
from traced.store import Entry, key_of, outs_of, settings_of
from traced.workspace import Workspace, same


class Verdict(Enum):
    """What is to be done about a step."""

    CURRENT = "up to date"
    ABSENT = "up to date, and not here because nothing needs it"
    RESTORE = "restored"
    RUN = "must run"
    WAIT = "waits for its inputs"


@dataclass(frozen=True)
class Change:
    """One reason why a step is not what it was: what has changed, from which value to which."""

    kind: str
    """One of input, code, environment, setting, command, output and trace."""
    what: str
    old: Any
    new: Any

    def __str__(self) -> str:
        """Write the change as one line."""
        if self.kind in ("trace", "command"):
            return self.what

        def short(value: Any) -> Any:
            return value[:8] if self.kind != "setting" and isinstance(value, str) else value

        return f"{self.kind} {self.what}: {short(self.old)} -> {short(self.new)}"


@dataclass
class Planned:
    """A step, what is known of it, and what will be done."""

    step: Step
    disk: dict[str, Content | None]
    entry: Entry | None = None
    """The trace that tells what its outs hold. None if nobody knows before the step has run."""
    verdict: Verdict = Verdict.RUN
    changes: list[Change] = field(default_factory=list)
    waits_for: list[str] = field(default_factory=list)

    @property
    def is_current(self) -> bool:
        """Whether everything on disk is what the trace says."""
        return self.entry is not None and all(
            same(self.disk[path], content) for path, content in outs_of(self.entry).items()
        )

    @property
    def differs(self) -> bool:
        """Whether something that is on disk is not what the trace says."""
        return self.entry is not None and any(
            self.disk[path] is not None and not same(self.disk[path], content)
            for path, content in outs_of(self.entry).items()
        )

    def because(self) -> list[str]:
        """List the reasons for the verdict, in words."""
        waiting = [f"reads what {', '.join(self.waits_for)} will write"] if self.waits_for else []
        return [*map(str, self.changes), *waiting]


def flatten(value: Any, name: str = "") -> dict[str, Any]:
    """Return nested settings as {"a.b": value}."""
    if not isinstance(value, dict):
        return {name: value}
    return {
        key: one for inner, below in value.items() for key, one in flatten(below, f"{name}.{inner}".lstrip(".")).items()
    }


def kind_of(path: str) -> str:
    """Say what a dependency is to a person: code, environment or input."""
    return {"py": "code", "lock": "environment"}.get(path.rpartition(".")[2], "input")


def digests_of(described: list[dict[str, Any]]) -> dict[str, str | None]:
    """Return {path: digest} of the deps or outs of an entry."""
    return {one["path"]: one.get("md5") for one in described}


def changed_inputs(old: Mapping[str, str | None], new: Mapping[str, str | None]) -> list[Change]:
    """List the inputs whose digests differ."""
    return [
        Change(kind_of(path), path, old.get(path), new.get(path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]


def changed_settings(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """List the settings that differ, each by its whole name."""
    was, wanted = flatten(old), flatten(new)
    return [
        Change("setting", key, was.get(key), wanted.get(key))
        for key in sorted(was | wanted)
        if was.get(key) != wanted.get(key)
    ]


def changed_command(old: Any, new: Any) -> list[Change]:
    """Say whether the commands of two stages differ: the rule's own text, or the paths that it is filled with."""
    said = "the rule's shell command is another one, or gets other files"
    return [] if old == new else [Change("command", said, None, None)]


def changes_between(
    old: Entry | None, step: Step, contents: Mapping[str, Content | None], known_only: bool = False
) -> list[Change]:
    """List how what a step reads now differs from what its trace in dvc.lock says.

    With `known_only`, inputs that are still to be written are left out.
    """
    if old is None:
        return [Change("trace", "never built here", None, None)]
    now = {path: content.md5 if content else None for path, content in contents.items()}
    unknown = {path for path, md5 in now.items() if known_only and md5 is None}
    found = [
        *(change for change in changed_inputs(digests_of(old.get("deps", [])), now) if change.what not in unknown),
        *changed_settings(settings_of(old), step.values),
        *changed_command(old.get("cmd"), step.command),
    ]
    if not found and not known_only:
        return [Change("trace", "its trace is gone", None, None)]
    return found


class Plan:
    """The verdict on every step of a graph.

    Args:
        workspace: the folder, its cache and its traces.
        steps: all steps, parents before children.
        targets: the steps whose outs must be here.
        forced: the steps that run whatever their trace says.
        busy: the steps that a process of an earlier run is still at work on. Nobody knows yet what they will hold.
    """

    def __init__(
        self,
        workspace: Workspace,
        steps: Sequence[Step],
        targets: Iterable[Step] = (),
        forced: Iterable[Step] = (),
        busy: Iterable[Step] = (),
    ) -> None:
        self.workspace = workspace
        self.forced = set(forced)
        self.busy = set(busy)
        self.producer = {path: step for step in steps for path in step.outs}
        sources = {path for step in steps for path in step.deps if path not in self.producer}
        self.disk = workspace.digests.of_all([*sources, *self.producer])
        self.of: dict[Step, Planned] = {}
        for step in steps:
            self.of[step] = self.judge(step)
        self.decide(set(targets))

    def contents(self, step: Step) -> dict[str, Content | None]:
        """Return what each dep of a step holds once its producer has run. None if nobody knows yet."""
        found: dict[str, Content | None] = {}
        for path in step.deps:
            producer = self.producer.get(path)
            if producer is None:
                found[path] = self.disk[path]
            else:
                entry = None if producer in self.forced else self.of[producer].entry
                found[path] = outs_of(entry)[path] if entry else None
        return found

    def last(self, step: Step) -> Entry | None:
        """Return the trace of a step that dvc.lock names, else the one that it stored here last.

        dvc.lock leaves out what dvc.yaml does not know, such as the steps of a source that was just named.
        """
        if locked := self.workspace.store.locked.get(step.name):
            return locked
        key = last_key(step)
        return next(iter(self.workspace.store.lookup(key)), None) if key else None

    def judge(self, step: Step) -> Planned:
        """Look a step up, whether anybody needs it or not."""
        planned = Planned(step, {path: self.disk[path] for path in step.outs})
        contents = self.contents(step)
        planned.waits_for = sorted(
            {
                self.producer[path].name
                for path, content in contents.items()
                if content is None and path in self.producer
            }
        )
        if planned.waits_for:
            planned.changes = changes_between(self.last(step), step, contents, known_only=True)
            return planned
        entries = self.workspace.lookup(key_of(self.workspace.entry_of(step, contents)))
        if entries:
            planned.entry = self.choose(entries, planned.disk)
        else:
            planned.changes = changes_between(self.last(step), step, contents)
        return planned

    def choose(self, entries: list[Entry], disk: dict[str, Content | None]) -> Entry:
        """Choose the trace that fits what is on disk, else the newest whose bytes can be had, else the newest."""
        there = {path: content for path, content in disk.items() if content}
        fitting = (e for e in entries if there and all(same(outs_of(e)[path], one) for path, one in there.items()))
        known = next(fitting, None)
        return known or next((entry for entry in entries if self.workspace.available(entry)), entries[0])

    def decide(self, targets: set[Step]) -> None:
        """Give every step its verdict, children before parents. What nobody needs may stay away."""
        needed: set[str] = set()
        for step, planned in reversed(self.of.items()):
            if step in self.forced:
                planned.verdict = Verdict.RUN
                planned.changes = [Change("trace", "forced", None, None)]
            elif planned.entry is None:
                planned.verdict = Verdict.WAIT if planned.waits_for else Verdict.RUN
            elif step in self.busy:  # its trace is looked up again once that process has ended
                planned.verdict = Verdict.RUN
                planned.changes = [Change("trace", "a job of an earlier run is still busy with it", None, None)]
            elif planned.is_current:
                planned.verdict = Verdict.CURRENT
            elif not (step in targets or planned.differs or needed & set(step.outs)):
                planned.verdict = Verdict.ABSENT
            elif self.workspace.available(planned.entry):
                planned.verdict = Verdict.RESTORE
                planned.changes = self.on_disk(planned)
            else:
                planned.verdict = Verdict.RUN
                planned.changes = [Change("trace", "known, but neither cache nor remote has its bytes", None, None)]
            if planned.verdict in (Verdict.RUN, Verdict.WAIT):
                needed.update(step.deps)

    def on_disk(self, planned: Planned) -> list[Change]:
        """List the outs that are missing, or are not what the trace says."""
        assert planned.entry is not None
        found = []
        for path, wanted in outs_of(planned.entry).items():
            there = planned.disk[path]
            if not same(there, wanted):
                found.append(Change("output", path, there.md5 if there else None, wanted.md5))
        return found

    def with_verdict(self, *verdicts: Verdict) -> list[Planned]:
        """List the steps with one of these verdicts, parents first."""
        return [planned for planned in self.of.values() if planned.verdict in verdicts]

    def summary(self) -> str:
        """Write one line that says how many steps have which verdict."""
        names = {
            "up to date": self.with_verdict(Verdict.CURRENT, Verdict.ABSENT),
            "to restore": self.with_verdict(Verdict.RESTORE),
            "to run": self.with_verdict(Verdict.RUN),
            "waiting for those": self.with_verdict(Verdict.WAIT),
        }
        return ", ".join(f"{len(found)} {name}" for name, found in names.items() if found or name == "up to date")
