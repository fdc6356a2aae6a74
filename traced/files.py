"""Files that appear whole or not at all, and small ones that remember what was worked out once."""

import hashlib
import json
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

NOTES = Path(".dvc/tmp/traced")
"""Where the layer keeps what only this folder needs."""


def flush(path: str | Path) -> None:
    """Return when the content of a file, or the names in a folder, would survive a power cut."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def partial_name(path: Path) -> Path:
    """Return a name beside `path` that no other process uses, for what is still being written."""
    return path.with_name(f".{hashlib.sha256(path.name.encode()).hexdigest()[:16]}.{os.getpid()}.{time.monotonic_ns()}")


def write_whole(path: Path, data: bytes, durable: bool = False) -> None:
    """Write a file under a temporary name, then rename it. A `durable` one survives a power cut once this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_name(path)
    try:
        partial.write_bytes(data)
        if durable:
            flush(partial)
        partial.rename(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    if durable:
        flush(path.parent)


def checksum(text: bytes) -> bytes:
    """Return what stands above a memory, to see whether it is whole."""
    return hashlib.sha256(text).hexdigest()[:16].encode()


def recall(path: Path) -> Any:
    """Return the value of JSON that a file remembers. None if there is none. A damaged file is as good as none."""
    try:
        check, _, text = path.read_bytes().partition(b"\n")
        return json.loads(text) if check == checksum(text) else None
    except (OSError, ValueError, RecursionError):
        return None


def remember(path: Path, value: Any) -> None:
    """Keep a value of JSON. If nothing can be written, it is worked out again next time."""
    text = json.dumps(value).encode()
    with suppress(OSError):
        if path.is_dir():  # damage: no file could take its name
            shutil.rmtree(path)
        write_whole(path, checksum(text) + b"\n" + text)
