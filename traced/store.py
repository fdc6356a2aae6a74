"""The traces: what each step once read and wrote, in DVC's run-cache and in dvc.lock.

An entry is DVC's entry of dvc.lock: {cmd, deps, params, outs}. Its key is the hash of all but the digests of its outs.
So the key of a step is known before the step has run. An entry of DVC's run-cache is the file
<cache>/runs/<key[:2]>/<key>/<hash of all>. Beside it, <cache>/ran/<key[:2]>/<key>/ has a file for each time that the
step ran here.
"""

import hashlib
import json
import os
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from traced import yaml12
from traced.cache import DIGEST, Cache
from traced.digest import Content
from traced.files import NOTES, recall, remember, write_whole
from traced.step import IGNORED_BY_DVC, PARAMS_FILE, Step

Entry = dict[str, Any]
LOCK_FILE = "dvc.lock"
CODE = Path(yaml12.__file__).read_bytes()
"""What reads YAML. Another version may read something else."""
LATEST = 1e14  # beyond any time in seconds, and any memory in bytes


def without_sizes(value: Any) -> Any:
    """Return an entry without the keys that DVC leaves out of its hashes."""
    if isinstance(value, dict):
        return {key: without_sizes(one) for key, one in value.items() if key not in IGNORED_BY_DVC}
    return [without_sizes(one) for one in value] if isinstance(value, list) else value


def hash_of(entry: Entry) -> str:
    """Return DVC's hash of an entry."""
    return hashlib.sha256(json.dumps(without_sizes(entry), sort_keys=True).encode()).hexdigest()


def key_of(entry: Entry) -> str:
    """Return DVC's key of an entry: its hash without the digests of its outs."""
    return hash_of({**entry, "outs": [out["path"] for out in entry["outs"]]})


def new_entry(step: Step, contents: dict[str, Content], outs: dict[str, Content] | None = None) -> Entry:
    """Make the entry of a step from what its deps hold and, if it has run, what its outs hold."""
    entry: Entry = {"cmd": step.command, "deps": [contents[path].entry(path) for path in step.deps]}
    if step.values:
        entry["params"] = {PARAMS_FILE: {step.name: step.values}}
    entry["outs"] = [outs[path].entry(path) if outs else {"path": path} for path in step.outs]
    return entry


def outs_of(entry: Entry) -> dict[str, Content]:
    """Return what the outs of an entry held."""
    return {out["path"]: Content.of_entry(out) for out in entry["outs"]}


def settings_of(entry: Entry) -> dict[str, Any]:
    """Return the settings that a step was given. Older traces have them from a file of another name."""
    of_steps: dict[str, Any] = next(iter(entry.get("params", {}).values()), {})
    return next(iter(of_steps.values()), {})


def is_entry(value: Any) -> bool:
    """Tell whether a value can be used as an entry."""
    if not isinstance(value, dict) or not isinstance(value.get("outs"), list):
        return False
    deps, params = value.get("deps", []), value.get("params", {})
    return (
        isinstance(deps, list)
        and all(map(is_described, [*value["outs"], *deps]))
        and isinstance(params, dict)
        and all(isinstance(given, dict) for given in params.values())
    )


def is_described(one: Any) -> bool:
    """Tell whether a value describes a file or folder: its path, and its digest."""
    return isinstance(one, dict) and isinstance(one.get("path"), str) and bool(DIGEST.fullmatch(str(one.get("md5"))))


def parse_entry(text: bytes, name: str) -> Entry | None:
    """Read a file of the run-cache. We write it as JSON, and DVC as YAML.

    None if it is broken, or if it is not what its name says: it may come from a remote.
    """
    try:
        value = json.loads(text) if text[:1] == b"{" else yaml12.parse(text)
        return value if is_entry(value) and hash_of(value) == name else None
    except (ValueError, TypeError, RecursionError, yaml.YAMLError):
        return None


def read_entry(path: Path) -> Entry | None:
    """Read an entry of the run-cache. None if it is broken."""
    try:
        return parse_entry(path.read_bytes(), path.name)
    except OSError:
        return None


@dataclass(frozen=True)
class Run:
    """One time that a step ran on this machine."""

    entry: str
    """The hash of the trace that came of it."""
    ended: float
    """Seconds since 1970."""
    id: str
    """What tells it from any other run, anywhere."""
    seconds: float | None = None
    """How long its command took; None if that was not seen, because the run was stopped while storing."""
    peak_bytes: int | None = None
    """The most memory that one of its processes held."""

    def is_sound(self) -> bool:
        """Tell whether its values are of the kinds that they should be."""
        numbers = [self.ended, self.seconds or 0.0, self.peak_bytes or 0]
        return (
            isinstance(self.entry, str)
            and isinstance(self.id, str)
            and all(isinstance(number, int | float) and 0 <= number < LATEST for number in numbers)
        )


class DamagedLockError(Exception):
    """dvc.lock cannot be read. The message says what a person can do."""


def parsed(path: Path) -> Any:
    """Read a YAML file as `yaml12.load` does. What the same bytes said last time is taken from the notes."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    memory = NOTES / f"{path.name}.json"
    digest = hashlib.sha256(CODE + data).hexdigest()
    known = recall(memory)
    if isinstance(known, list) and known[:1] == [digest]:
        return known[1]
    value = yaml12.parse(data) or {}
    with suppress(TypeError, ValueError):  # JSON has not all that YAML has
        if json.loads(json.dumps(value)) == value:
            remember(memory, [digest, value])
    return value


def read_lock(path: Path) -> dict[str, Entry]:
    """Read the entries of dvc.lock by the name of the stage. Raises DamagedLockError if it is no such file."""
    try:
        stages = parsed(path).get("stages") or {}
        if isinstance(stages, dict):
            return {str(name): entry for name, entry in stages.items()}
        reason = "`stages` is no mapping"
    except (OSError, ValueError, AttributeError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
    raise DamagedLockError(
        f"{path}: damaged ({reason}): take it back from git, or remove it. The cache knows the traces of this machine,"
        " and the next build writes it anew"
    )


class Store:
    """All traces known here, of the run-cache and of dvc.lock. The latter may have come by git."""

    def __init__(self, cache: Cache, lock_file: Path) -> None:
        self.cache = cache
        self.runs = cache.root / "runs"
        self.kept_here = cache.root / "kept_here"
        """Traces of steps with outs that stay here: DVC pushes what the run-cache names, with --run-cache."""
        self.ran = cache.root / "ran"
        stages = read_lock(lock_file)
        self.locked: dict[str, Entry] = {name: entry for name, entry in stages.items() if is_entry(entry)}
        """The entries of dvc.lock by the name of the stage."""
        self.by_key: dict[str, Entry] = {key_of(entry): entry for entry in self.locked.values()}

    def lookup(self, key: str) -> list[Entry]:
        """List the entries of a key, newest first. A step that does not always give the same bytes has several."""
        names: list[os.DirEntry[str]] = []
        for runs in (self.runs, self.kept_here):
            with suppress(OSError):
                names += os.scandir(runs / key[:2] / key)
        names.sort(key=lambda file: -file.stat().st_mtime_ns)
        entries = (read_entry(Path(file.path)) for file in names if file.name[0] != ".")
        found = [entry for entry in entries if entry and key_of(entry) == key]
        return [*found, self.by_key[key]] if key in self.by_key else found

    def save(self, entry: Entry, kept_here: bool = False) -> None:
        """Keep an entry whose bytes are in the cache."""
        key = key_of(entry)
        folder = (self.kept_here if kept_here else self.runs) / key[:2] / key
        self.cache.make_folder(folder)
        write_whole(folder / hash_of(entry), json.dumps(entry, indent=1).encode(), durable=True)

    def note_run(self, key: str, run: Run) -> None:
        """Keep that a step ran. Nothing is lost but a figure if that cannot be written."""
        folder = self.ran / key[:2] / key
        with suppress(OSError):
            self.cache.make_folder(folder)
            write_whole(folder / f"{time.time_ns()}.json", json.dumps(asdict(run)).encode())

    def runs_of(self, key: str) -> list[Run]:
        """List the runs of a key on this machine, oldest first."""
        folder = self.ran / key[:2] / key
        names = sorted(path for path in folder.glob("[!.]*.json")) if folder.is_dir() else []
        found: dict[str, Run] = {}
        for path in names:
            with suppress(OSError, ValueError, TypeError, RecursionError):
                run = Run(**json.loads(path.read_bytes()))
                if run.is_sound():
                    found.setdefault(run.id, run)
        return list(found.values())

    def builder(self) -> str:
        """Return the name of this cache as a builder: made up once, so that it tells nothing of the machine."""
        path = self.ran / "builder"
        self.cache.make_folder(self.ran)
        with suppress(FileExistsError), open(path, "x") as file:
            file.write(f"urn:uuid:{uuid.uuid4()}")
        return path.read_text(errors="replace")
