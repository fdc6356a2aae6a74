"""What a file or folder holds, as DVC's digests. A digest is computed once, until the file changes."""

import errno
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

from traced.files import recall, remember

# Snakemake writes this file into each folder that is an output. .dvcignore names it, too.
TIMESTAMP = ".snakemake_timestamp"
# The clock of a file system may stand still for this long. A file that is younger could change and keep its times.
CLOCK_STEP_NS = 20_000_000

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True)
class Content:
    """What a path holds, in DVC's terms. The `md5` of a folder ends in `.dir`."""

    md5: str
    size: int
    files: int | None = None
    executable: bool = False

    def entry(self, path: str) -> dict[str, Any]:
        """Return the entry of dvc.lock for `path`."""
        meta: dict[str, Any] = {"path": path, "hash": "md5", "md5": self.md5, "size": self.size}
        if self.files is not None:
            meta["nfiles"] = self.files
        if self.executable:
            meta["isexec"] = True
        return meta

    @classmethod
    def of_entry(cls, entry: dict[str, Any]) -> "Content":
        """Return what an entry of dvc.lock promises."""
        return cls(entry["md5"], entry.get("size", 0), entry.get("nfiles"), entry.get("isexec", False))


def stamp(path: str | Path) -> Stamp:
    """Return what changes if a file does: its two times, its size and its inode.

    OSError if it is a pipe or a device: to read one may never end.
    """
    found = os.stat(path)
    if not S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "this is neither a file nor a folder", os.fspath(path))
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def but_for_ctime(known: Stamp) -> tuple[int, int, int]:
    """Return what making or removing a link to a file leaves as it is."""
    mtime, _, size, inode = known
    return mtime, size, inode


def md5_of(path: str | Path) -> str:
    """Compute the MD5 of a file. It is read in blocks, and other threads run meanwhile."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def files_under(folder: str) -> Iterator[str]:
    """Yield the files of a folder as paths relative to it, in DVC's order."""
    found = (
        os.path.relpath(os.path.join(place, name), folder)
        for place, _, names in os.walk(folder, followlinks=True)
        for name in names
        if name != TIMESTAMP
    )
    return iter(sorted(found))


def listing(files: dict[str, str]) -> bytes:
    """Write DVC's text for a folder from {relative path: md5}."""
    rows = [{"md5": md5, "relpath": name} for name, md5 in sorted(files.items())]
    return json.dumps(rows, sort_keys=True).encode()


def digest_of(files: dict[str, str]) -> str:
    """Return DVC's digest of a folder from {relative path: md5}, or of a file from {"": md5}."""
    if "" in files:
        return files[""]
    return hashlib.md5(listing(files), usedforsecurity=False).hexdigest() + ".dir"


def places_of(path: str) -> dict[str, str] | None:
    """Return {name: where it is} of the files of a path, by relative path. None if nothing is there."""
    if os.path.isdir(path):
        return {name: os.path.join(path, name) for name in files_under(path)}
    return {"": path} if os.path.exists(path) else None


@dataclass
class Seen:
    """Files that belong together, by name: those of a folder by relative path, a single one as ""."""

    key: str
    """Under which their digests are remembered."""
    places: dict[str, str]
    stamps: dict[str, Stamp]
    md5s: dict[str, str]
    remembered: bool

    def content(self) -> Content:
        """Return what the path holds. All its files must have a digest."""
        if "" in self.stamps:
            mode = os.stat(self.places[""]).st_mode
            return Content(digest_of(self.md5s), self.stamps[""][2], executable=bool(mode & 0o111))
        return Content(digest_of(self.md5s), sum(known[2] for known in self.stamps.values()), len(self.stamps))


class Digests:
    """The digests of paths. Each path has one small file that remembers them, so no process waits for another.

    Relative paths are kept as they are given, so a folder can be moved with its memory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def memory(self, key: str) -> Path:
        """Return the file that remembers what belongs to a key, such as a path."""
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"

    def recall(self, key: str) -> dict[str, tuple[Stamp, str]]:
        """Return {name: (stamp, md5)} as remembered, or {}."""
        try:
            rows = (recall(self.memory(key)) or {}).items()
            return {name: ((row[0], row[1], row[2], row[3]), row[4]) for name, row in rows}
        except (AttributeError, LookupError, TypeError):  # of another version
            return {}

    def remember(self, key: str, files: dict[str, tuple[Stamp, str]]) -> None:
        """Keep the digests of files. If nothing can be written, they are computed again next time."""
        remember(self.memory(key), {name: [*known, md5] for name, (known, md5) in files.items()})

    def examine(self, key: str, places: dict[str, str]) -> Seen:
        """Say what is known of files without reading them. FileNotFoundError if one is not there."""
        stamps = {name: stamp(place) for name, place in places.items()}
        known = self.recall(key)
        md5s = {name: known[name][1] for name in places if name in known and known[name][0] == stamps[name]}
        return Seen(key, places, stamps, md5s, remembered=len(md5s) == len(places) == len(known))

    def complete(self, seen: Sequence[Seen]) -> None:
        """Hash what is not known, on all cores, and remember it."""
        unknown = [(one, name) for one in seen for name in one.stamps if name not in one.md5s]
        if unknown:
            youngest = max(one.stamps[name][1] for one, name in unknown)
            if (age := time.time_ns() - youngest) < CLOCK_STEP_NS:
                time.sleep((CLOCK_STEP_NS - max(age, 0)) / 1e9)
            for one, name in unknown:
                one.stamps[name] = stamp(one.places[name])
            with ThreadPoolExecutor() as pool:
                digests = pool.map(md5_of, [one.places[name] for one, name in unknown])
                for (one, name), md5 in zip(unknown, digests, strict=True):
                    one.md5s[name] = md5
        for one in seen:
            if not one.remembered:
                self.remember(one.key, {name: (one.stamps[name], md5) for name, md5 in one.md5s.items()})

    def of_files(self, key: str, places: dict[str, str]) -> dict[str, str]:
        """Return {name: md5} of files that are there, remembered under `key`."""
        seen = self.examine(key, places)
        self.complete([seen])
        return seen.md5s

    def of_all(self, paths: Iterable[str]) -> dict[str, Content | None]:
        """Return what each path holds, or None if nothing is there."""
        found = {path: self.examine_path(path) for path in dict.fromkeys(paths)}
        self.complete([seen for seen in found.values() if seen])
        return {path: seen.content() if seen else None for path, seen in found.items()}

    def examine_path(self, path: str) -> Seen | None:
        """Say what is known of a path without reading it. None if nothing is there."""
        try:
            places = places_of(path)
            return None if places is None else self.examine(path, places)
        except FileNotFoundError:
            return None

    def of(self, path: str) -> Content | None:
        """Return what a path holds, or None if nothing is there."""
        return self.of_all([path])[path]

    def note(self, key: str, places: dict[str, str], md5s: dict[str, str]) -> None:
        """Remember what files hold, as the caller knows without reading them."""
        self.remember(key, {name: (stamp(places[name]), md5) for name, md5 in md5s.items()})

    def carry_over(self, key: str, places: dict[str, str]) -> None:
        """Remember files under a new time of change. One that differs in anything else is forgotten."""
        now = {name: stamp(place) for name, place in places.items()}
        known = {name: row for name, row in self.recall(key).items() if name in now}
        kept = {name: md5 for name, (old, md5) in known.items() if but_for_ctime(old) == but_for_ctime(now[name])}
        self.remember(key, {name: (now[name], md5) for name, md5 in kept.items()})

    def touched(self, seen: Seen) -> None:
        """Remember files under the times that somebody has just set. One that differs in anything else is forgotten."""
        with suppress(FileNotFoundError):
            now = {name: stamp(place) for name, place in seen.places.items()}
            same = [name for name, old in seen.stamps.items() if old[2:] == now[name][2:]]
            self.remember(seen.key, {name: (now[name], seen.md5s[name]) for name in same})
