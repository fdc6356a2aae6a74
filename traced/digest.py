"""What a file or folder holds, as DVC's digests. A digest is computed once, until the file changes."""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """Return what changes if a file does: its two times, its size and its inode."""
    found = os.stat(path)
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def place(path: str, name: str) -> str:
    """Return where a file of a folder is. The name "" stands for the path itself."""
    return os.path.join(path, name) if name else path


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


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    partial.write_bytes(data)
    partial.rename(path)


@dataclass
class Seen:
    """The files of one path, by relative path. A path that is a file itself has the name ""."""

    path: str
    stamps: dict[str, Stamp]
    md5s: dict[str, str]
    remembered: bool

    def content(self) -> Content:
        """Return what the path holds. All its files must have a digest."""
        if "" in self.stamps:
            mode = os.stat(self.path).st_mode
            return Content(digest_of(self.md5s), self.stamps[""][2], executable=bool(mode & 0o111))
        return Content(digest_of(self.md5s), sum(known[2] for known in self.stamps.values()), len(self.stamps))


class Digests:
    """The digests of paths. Each path has one small file that remembers them, so no process waits for another.

    Relative paths are kept as they are given, so a folder can be moved with its memory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def memory(self, path: str) -> Path:
        """Return the file that remembers `path`."""
        return self.folder / f"{hashlib.sha256(path.encode()).hexdigest()[:32]}.json"

    def recall(self, path: str) -> dict[str, tuple[Stamp, str]]:
        """Return {relative path: (stamp, md5)} as remembered, or {}."""
        try:
            known = json.loads(self.memory(path).read_bytes())
            return {name: ((row[0], row[1], row[2], row[3]), row[4]) for name, row in known.items()}
        except (OSError, ValueError, LookupError):
            return {}

    def remember(self, path: str, files: dict[str, tuple[Stamp, str]]) -> None:
        """Keep the digests of a path. If nothing can be written, they are computed again next time."""
        rows = {name: [*known, md5] for name, (known, md5) in files.items()}
        with suppress(OSError):
            write_whole(self.memory(path), json.dumps(rows).encode())

    def examine(self, path: str) -> "Seen | None":
        """Say what is known of the files of a path without reading them. None if nothing is there."""
        try:
            names = list(files_under(path)) if os.path.isdir(path) else [""]
            stamps = {name: stamp(place(path, name)) for name in names}
        except FileNotFoundError:
            return None
        known = self.recall(path)
        md5s = {name: known[name][1] for name in names if name in known and known[name][0] == stamps[name]}
        return Seen(path, stamps, md5s, remembered=len(md5s) == len(names) == len(known))

    def all_files(self, paths: Iterable[str]) -> "dict[str, Seen | None]":
        """Return the files of each path with their digests. What is not known is hashed on all cores."""
        seen = {path: self.examine(path) for path in dict.fromkeys(paths)}
        unknown = [(one, name) for one in seen.values() if one for name in one.stamps if name not in one.md5s]
        if unknown:
            youngest = max(one.stamps[name][1] for one, name in unknown)
            if (age := time.time_ns() - youngest) < CLOCK_STEP_NS:
                time.sleep((CLOCK_STEP_NS - max(age, 0)) / 1e9)
            for one, name in unknown:
                one.stamps[name] = stamp(place(one.path, name))
            with ThreadPoolExecutor() as pool:
                digests = pool.map(md5_of, [place(one.path, name) for one, name in unknown])
                for (one, name), md5 in zip(unknown, digests, strict=True):
                    one.md5s[name] = md5
        for path, there in seen.items():
            if there and not there.remembered:
                self.remember(path, {name: (there.stamps[name], md5) for name, md5 in there.md5s.items()})
        return seen

    def of_all(self, paths: Iterable[str]) -> dict[str, Content | None]:
        """Return what each path holds, or None if nothing is there."""
        return {path: seen.content() if seen else None for path, seen in self.all_files(paths).items()}

    def of(self, path: str) -> Content | None:
        """Return what a path holds, or None if nothing is there."""
        return self.of_all([path])[path]

    def note(self, path: str, md5s: dict[str, str]) -> None:
        """Remember that a path holds the files {relative path: md5}, as the caller knows without reading them."""
        self.remember(path, {name: (stamp(place(path, name)), md5) for name, md5 in md5s.items()})
