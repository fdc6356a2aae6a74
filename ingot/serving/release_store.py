"""Open the folder of a release: check it against its manifest, and unpack its models once on this machine."""

import fcntl
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.container import sha256, unpack_file
from ingot.io.records import read_json, write_json
from ingot.release.checks import check_files, odd_entries, open_manifest
from ingot.serving.routes import Worth

DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Release:
    """What the server needs of a release: files, and what the manifest says of serving."""

    name: str
    version: str
    """The digest of the manifest."""
    created: int
    model: Path
    modifiers: dict[str, Path]
    tokenizer: Path
    router: Path | None
    detector: Path | None
    worth: Worth
    length: int


def home() -> Path:
    """Return the folder where the server keeps what it unpacked, and its keys."""
    given = os.environ.get("INGOT_HOME")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ingot"


def open_release(folder: Path, store: Path) -> Release:
    """Check a release, and unpack its models into the folder `store`, where files are named by digest.

    Raises InputError if a file is missing or has other bytes than the manifest says, if there is nothing to serve, or
    if there is no room.
    """
    manifest = open_manifest(folder)
    if problems := [*odd_entries(folder), *check_files(folder, manifest)]:
        raise InputError(f"{folder}: {'; '.join(problems[:5])}. Fetch the release again")
    files = {file["path"]: file for file in manifest["files"]}
    try:
        serving = manifest["serving"]
        named = {"model": serving["model"], **serving["modifiers"]}
        folders = {key: folder_in(folder, serving[key], files) for key in ("tokenizer", "router", "detector")}
        if not folders["tokenizer"]:
            raise ValueError("it names no tokenizer")
        unpacked = {name: unpack(folder / path, files[path], store) for name, path in named.items()}
        return Release(
            name=f"ingot-{manifest['preset']}",
            version=sha256(folder / "manifest.json"),
            created=int((folder / "manifest.json").stat().st_mtime),
            model=unpacked.pop("model"),
            modifiers=unpacked,
            tokenizer=folders["tokenizer"],
            router=folders["router"],
            detector=folders["detector"],
            worth=Worth(**serving["worth"]),
            length=int(serving["context"]),
        )
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{folder}/manifest.json: it does not say how to serve this release ({error!r}); a release needs a GGUF"
            " type: set `gguf` and build it again"
        ) from None


def folder_in(release: Path, name: str | None, files: dict[str, Any]) -> Path | None:
    """Return a folder of a release; ValueError if none of its files is in it. None if it has no name."""
    if name is None:
        return None
    if not any(file.startswith(f"{name}/") for file in files):
        raise ValueError(f"{name} has no files")
    return (release / name).absolute()


def unpack(packed: Path, described: dict[str, Any], store: Path) -> Path:
    """Unpack a file of a release into the store, unless it is there and whole; return where it is."""
    promised = described["unpacked"]
    if not DIGEST.fullmatch(promised["sha256"]):
        raise ValueError("a digest is none")
    target = store / f"{promised['sha256']}.gguf"
    store.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(store / ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two servers may start at once
        if not is_whole(target, promised):
            try:
                unpack_file(packed, target)
            except OSError as error:
                raise InputError(f"{target}: cannot be unpacked: {error.strerror}") from None
            if sha256(target) != promised["sha256"]:
                target.unlink()
                raise InputError(f"{packed}: unpacks to other bytes than the manifest promises; fetch it again")
            note(target)
    return target


def stamp(path: Path) -> list[int]:
    """Return what changes if a file is written to: size, time and inode."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def note(path: Path) -> None:
    """Note that a file of the store is as its name promises."""
    path.chmod(0o400)
    write_json(path.with_suffix(".json"), stamp(path))


def is_whole(path: Path, promised: dict[str, Any]) -> bool:
    """Tell whether a file of the store has the promised bytes. They are read again only if it was written to."""
    if not path.is_file() or path.stat().st_size != promised["bytes"]:
        return False
    try:
        if read_json(path.with_suffix(".json")) == stamp(path):
            return True
    except (OSError, ValueError, json.JSONDecodeError, InputError):
        pass
    if sha256(path) != promised["sha256"]:
        return False
    note(path)
    return True
