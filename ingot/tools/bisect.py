"""Find what lost the points between two builds: `ingot bisect GOOD [BAD]`.

GOOD and BAD are each a commit, a dvc.lock, or the folder of another clone. BAD is the build here unless it is named.
Nothing is built: traces and answers of both builds are compared. So the bytes of both must be in a cache.

First it finds the first model that answers fewer of the same questions right. Then it lists what is different in the
steps that lead to this model, and not to a model that lost nothing.
"""

import argparse
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ingot.errors import InputError
from ingot.measuring.significance import compare_pairs, holm
from traced import yaml12
from traced.cache import Cache, is_inside
from traced.digest import Digests
from traced.diverge import ancestors, causes, parents_first
from traced.dvc_files import SETTINGS
from traced.plan import Change
from traced.store import DamagedLockError, Entry, is_entry, read_lock
from traced.workspace import DVC

ANSWERS = re.compile(r"results/answers/(?P<model>[^/]+)/benchmark\.jsonl")
ALPHA = 0.05
SHOWN = 5
PIN = re.compile(r"^(?:# )?([A-Za-z0-9][\w.-]*)==(\S+)", re.MULTILINE)


@dataclass
class Built:
    """One of the two builds."""

    name: str
    folder: Path
    """Where its cache is."""
    commit: str
    """The commit that has its files; "" if they are in the folder."""
    stages: dict[str, Entry]

    def __post_init__(self) -> None:
        """Open its cache."""
        dvc = self.folder / DVC
        self.cache = Cache(dvc, Digests(dvc / "tmp/traced"))

    def bytes_of(self, path: str, md5: str | None) -> bytes | None:
        """Return the bytes that a path had in this build: from the cache, else from git, else from the folder."""
        if not md5 or md5.endswith(".dir"):
            return None
        if self.cache.holds(md5):
            return self.cache.object(md5).read_bytes()
        if not is_inside(path) or not (self.commit or (self.folder / path).is_file()):
            return None
        try:
            data = (
                git(self.folder, "show", f"{self.commit}:{path}") if self.commit else (self.folder / path).read_bytes()
            )
        except (OSError, InputError):
            return None
        return data if hashlib.md5(data, usedforsecurity=False).hexdigest() == md5 else None


def git(folder: Path, *arguments: str) -> bytes:
    """Return what git says. InputError if it fails."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    except OSError:
        raise InputError("git is not installed") from None
    if done.returncode:
        raise InputError(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def open_built(name: str) -> Built:
    """Open a build by the name that the command line gives it. InputError if there is none."""
    path = Path(name)
    if path.is_dir() or path.is_file():
        lock = path / "dvc.lock" if path.is_dir() else path
        if not lock.is_file():
            raise InputError(f"{name}: there is no dvc.lock, so nothing was built there")
        stages, folder, commit = read_lock(lock), lock.parent, ""
    else:
        try:
            commit = git(Path(), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip()
        except InputError:
            raise InputError(f"{name}: neither a folder, nor a dvc.lock, nor a commit") from None
        try:
            stages = dict(yaml12.parse(git(Path(), "show", f"{commit}:dvc.lock"))["stages"])
        except (yaml.YAMLError, LookupError, TypeError, ValueError):
            raise InputError(f"{name}: the dvc.lock of this commit cannot be read") from None
        folder = Path()
    known = {str(stage): entry for stage, entry in stages.items() if stage != SETTINGS and is_entry(entry)}
    return Built(name, folder, commit, known)


def measurements(build: Built) -> dict[str, tuple[str, str, str]]:
    """Return {model: (stage that measured it, path of its answers, their digest)}, parents first."""
    return {
        found["model"]: (stage, out["path"], out["md5"])
        for stage in parents_first(build.stages)
        for out in build.stages[stage]["outs"]
        if (found := ANSWERS.fullmatch(out["path"]))
    }


def marks(build: Built, path: str, md5: str) -> dict[tuple[str, str], bool]:
    """Return {(question, reference): whether the model answered it right}. InputError if the answers are gone."""
    data = build.bytes_of(path, md5)
    if data is None:
        raise InputError(f"{build.name}: {path} of this build is in no cache here; try `dvc fetch`, or `dvc pull`")
    try:
        rows = [json.loads(line) for line in data.splitlines()]
        return {(row["instruction"], row["response"]): row["right"] for row in rows if not row["sample"]}
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError(f"{build.name}: {path}: no answers of a model ({type(error).__name__}: {error})") from None


@dataclass
class Compared:
    """How a model of both builds answers the questions that both were asked."""

    model: str
    stage: str
    questions: int
    gain: float
    p_value: float


def compare_models(good: Built, bad: Built) -> list[Compared]:
    """Compare every model that both builds have. InputError if they have none, or no question in common."""
    before, now = measurements(good), measurements(bad)
    compared = []
    for model in [model for model in now if model in before]:
        stage, *answers = now[model]
        old, new = marks(good, *before[model][1:]), marks(bad, *answers)
        common = [question for question in new if question in old]
        if not common:
            raise InputError(f"{model}: the two builds were asked different questions")
        pairs = compare_pairs([new[question] for question in common], [old[question] for question in common])
        compared.append(Compared(model, stage, len(common), pairs["gain"], pairs["p_value"]))
    if not compared:
        raise InputError("the two builds have no measured model in common")
    adjusted = holm({one.model: one.p_value for one in compared})
    for one in compared:
        one.p_value = adjusted[one.model]
    return compared


def lost(one: Compared) -> bool:
    """Tell whether a model is worse, and not by chance."""
    return one.gain < 0 and one.p_value <= ALPHA


def suspects(good: Built, bad: Built, compared: list[Compared]) -> list[tuple[str, list[Change]]]:
    """List the steps that differ by themselves and lead to the first model that lost, parents first.

    Those that also lead to a model that lost nothing come last: they are less likely.
    """
    first = next(one for one in compared if lost(one))
    fine = [one for one in compared[: compared.index(first)] if not lost(one)]
    cleared = {stage for one in fine for stage in ancestors(bad.stages, one.stage)}
    led = ancestors(bad.stages, first.stage)
    written = {out["path"] for build in (good, bad) for entry in build.stages.values() for out in entry["outs"]}
    found = {}
    for stage in (stage for stage in parents_first(bad.stages) if stage in led):
        if changes := causes(good.stages.get(stage), bad.stages[stage], written):
            found[stage] = changes
    return sorted(found.items(), key=lambda item: item[0] in cleared)


def packages(text: bytes) -> dict[str, str]:
    """Return {package: version} of a lock."""
    return dict(PIN.findall(text.decode(errors="replace")))


def places(text: bytes) -> dict[bytes, int]:
    """Return {line: its number} of a file of records."""
    return {line: number for number, line in enumerate(text.splitlines(), 1)}


def details(change: Change, good: Built, bad: Built) -> Iterator[str]:
    """Yield what is inside a change: the packages of a lock, or the records of a file."""
    if change.kind not in ("environment", "input", "output"):
        return
    path = change.what.partition(", ")[0]
    old, new = good.bytes_of(path, change.old), bad.bytes_of(path, change.new)
    if old is None or new is None:
        return
    if change.kind == "environment":
        was, now = packages(old), packages(new)
        for name in sorted(was | now):
            if was.get(name) != now.get(name):
                yield f"package {name}: {was.get(name, 'absent')} -> {now.get(name, 'absent')}"
    else:
        yield from records(path, old, new)


def records(path: str, old: bytes, new: bytes) -> Iterator[str]:
    """Yield which lines of a file are new, and which are gone. Their texts are not shown: they may hold secrets."""
    was, now = places(old), places(new)
    for word, lines in (
        ("new", [number for line, number in now.items() if line not in was]),
        ("gone", [number for line, number in was.items() if line not in now]),
    ):
        if lines:
            more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
            yield f"{path}: {len(lines)} lines {word}: {', '.join(map(str, lines[:SHOWN]))}{more}"


def read_by(change: Change, stage: str, good: Built, bad: Built) -> Iterator[str]:
    """Yield what a step made of an input that is in no cache: the records that it wrote."""
    if change.kind != "input" or list(details(change, good, bad)):
        return
    old = {out["path"]: out["md5"] for out in good.stages.get(stage, {"outs": []})["outs"]}
    for out in bad.stages[stage]["outs"]:
        path, md5 = out["path"], out["md5"]
        if path.endswith(".jsonl") and old.get(path) not in (None, md5):
            yield from details(Change("input", path, old[path], md5), good, bad)


def table(compared: list[Compared]) -> str:
    """Write how each model of the bad build answers beside that of the good one."""
    rows = [
        f"  {one.model:16} {one.gain:+6.1f} points, {one.questions} questions, p = {one.p_value:.3g}"
        + (" (lost)" if lost(one) else "")
        for one in compared
    ]
    return "\n".join(rows)


def told(good: Built, bad: Built) -> Iterator[str]:
    """Yield the lines of the answer."""
    compared = compare_models(good, bad)
    yield f"{bad.name} beside {good.name} (p values by McNemar's exact test, corrected after Holm):"
    yield table(compared)
    first = next((one for one in compared if lost(one)), None)
    if first is None:
        yield "No model lost more than chance would explain."
        return
    found = suspects(good, bad, compared)
    yield f"The first that lost is {first.model}. What is different on the way to it, the likeliest first:"
    for stage, changes in found:
        yield f"  {stage}"
        for change in changes:
            yield f"    {change}"
            inside = [*details(change, good, bad), *read_by(change, stage, good, bad)]
            yield from (f"      {line}" for line in inside)
    if len(found) > 1:
        yield "There is more than one. Take one of them back, build, and ask again."


def to_json(good: Built, bad: Built) -> dict[str, Any]:
    """Return the answer for programs: each model, and each difference by step."""
    compared = compare_models(good, bad)
    first = next((one for one in compared if lost(one)), None)
    found = suspects(good, bad, compared) if first else []
    return {
        "models": [vars(one) for one in compared],
        "first_that_lost": first.model if first else None,
        "differences": [{"step": stage, "changes": [vars(change) for change in changes]} for stage, changes in found],
    }


def main() -> None:
    """Compare the builds that the command line names."""
    parser = argparse.ArgumentParser(prog="ingot bisect", description=__doc__.splitlines()[0])
    parser.add_argument("good")
    parser.add_argument("bad")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        good, bad = open_built(options.good), open_built(options.bad)
        print(json.dumps(to_json(good, bad), indent=2) if options.json else "\n".join(told(good, bad)))
    except (InputError, DamagedLockError) as error:
        raise SystemExit(f"ingot: bisect: {error}") from None


if __name__ == "__main__":
    main()
