"""Where two machines began to disagree.

    python -m traced.diverge A B

A and B are dvc.lock files of the same graph. This names the first step that read equal things and wrote other bytes:
there, the same code, settings and environment gave another result. If no step did, it names the first inputs that
differ.
"""

import sys
from pathlib import Path
from typing import Any

from traced import yaml12
from traced.plan import Change, changed_command, changed_inputs, changed_settings, digests_of
from traced.store import Entry, settings_of


def read(path: str) -> dict[str, Entry]:
    """Read the entries of a lock file. SystemExit if it is no lock file."""
    if not Path(path).is_file():
        raise SystemExit(f"{path}: no such file")
    stages = yaml12.load(Path(path)).get("stages")
    if not isinstance(stages, dict):
        raise SystemExit(f"{path}: not a dvc.lock: `stages` is missing")
    return stages


def differing(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[str]:
    """Write a line for each path whose digest differs."""
    old, new = digests_of(one), digests_of(other)
    return [
        f"{path}: {old.get(path, 'absent')} / {new.get(path, 'absent')}"
        for path in sorted(old | new)
        if old.get(path) != new.get(path)
    ]


def parents_first(stages: dict[str, Entry]) -> list[str]:
    """List the names of the stages. Each comes after the stages that write what it reads."""
    writer = {out["path"]: name for name, entry in stages.items() for out in entry.get("outs", [])}
    order: dict[str, None] = {}

    waiting = list(reversed(stages))
    opened: set[str] = set()
    while waiting:
        name = waiting[-1]
        parents = [writer[dep["path"]] for dep in stages[name].get("deps", []) if dep["path"] in writer]
        if name in opened or name in order:  # its parents have had their turn, or it needs what it writes
            order[waiting.pop()] = None
        else:
            opened.add(name)
            waiting += [parent for parent in parents if parent not in order and parent not in opened]
    return list(order)


def ancestors(stages: dict[str, Entry], name: str) -> set[str]:
    """Return the names of the stages that a stage depends on, and its own."""
    writer = {out["path"]: name for name, entry in stages.items() for out in entry.get("outs", [])}
    found: set[str] = set()
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [writer[dep["path"]] for dep in stages[name].get("deps", []) if dep["path"] in writer]
    return found


def causes(old: Entry | None, new: Entry, written: set[str]) -> list[Change]:
    """List why a step of a build differs from that of another, unless it is only because of what others wrote.

    `written` are the paths that steps write. A step that read equal things and wrote other bytes is a cause itself.
    """
    if old is None:
        return [Change("trace", "the other build has no such step", None, None)]
    inputs = changed_inputs(digests_of(old.get("deps", [])), digests_of(new.get("deps", [])))
    found = [change for change in inputs if change.what not in written]
    found += changed_settings(settings_of(old), settings_of(new))
    found += changed_command(old.get("cmd"), new.get("cmd"))
    if not inputs and not found:
        outs = changed_inputs(digests_of(old["outs"]), digests_of(new["outs"]))
        found = [Change("output", f"{one.what}, from equal inputs", one.old, one.new) for one in outs]
    return found


def compare(one: dict[str, Entry], other: dict[str, Entry]) -> str:
    """Say in words how two sets of entries differ."""
    inputs = []
    for name in parents_first({name: entry for name, entry in one.items() if name in other}):
        a, b = one[name], other[name]
        deps = differing(a.get("deps", []), b.get("deps", []))
        if a.get("params") != b.get("params"):
            deps.append("its settings")
        outs = differing(a.get("outs", []), b.get("outs", []))
        if outs and not deps:
            return f"{name} gave other bytes from equal inputs:\n  " + "\n  ".join(outs)
        if deps:
            inputs.append(f"{name} read something else:\n  " + "\n  ".join(deps))
    if inputs:
        return "no step gave other bytes from equal inputs; the first difference is in what was read:\n" + inputs[0]
    only = sorted(set(one) ^ set(other))
    return "equal" + (f", but for steps that only one of them has: {', '.join(only)}" if only else "")


def main() -> None:
    """Compare the two files that the command line names. The exit status is 1 if they differ."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    said = compare(read(sys.argv[1]), read(sys.argv[2]))
    print(said)  # noqa: T201
    raise SystemExit(not said.startswith("equal"))


if __name__ == "__main__":
    main()
