"""Pages of the records that a step has written, or dropped."""

import functools
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ingot.errors import InputError
from ingot.pages.browser import brief, brief_rejection
from ingot.studio.texts import brief as brief_text
from ingot.studio.texts import inert

DATA = Path("results/data")
Stamp = tuple[tuple[str, int, int], ...]
"""(path, when it was written, how long it is) of each file."""


def steps(root: Path = Path()) -> list[str]:
    """List the steps that have written records, such as filtered and filtered.rejected."""
    return sorted({path.name.removesuffix(".jsonl") for path in (root / DATA).rglob("*.jsonl")})


def files_of(step: str, root: Path = Path()) -> list[Path]:
    """List the files of records that a step has written: one, or one per part of the sources. InputError if none."""
    folder = root / DATA
    whole = folder / f"{step}.jsonl"
    files = [*([whole] if whole.exists() else []), *sorted(folder.glob(f"parts/*/*/{step}.jsonl"))]
    if not files:
        known = steps(root)
        there = f"there are {', '.join(known)}" if known else "there are none yet: build first"
        raise InputError(f"no step has written records called {step!r}; {there}")
    return files


@dataclass(frozen=True)
class Shown:
    """A record as the page shows it."""

    id: str
    group: str
    """Which filter dropped it, or its domain."""
    about: str
    instruction: str
    response: str


def shown(record: dict[str, Any]) -> Shown:
    """Choose what is shown of a record. One of another version is shown as it is."""
    try:
        chosen = brief_rejection(record) if "filter" in record else brief(record)
        group = chosen["group"] if "filter" in record else record["metadata"]["domain"]
    except (KeyError, TypeError, AttributeError):
        return Shown("", "unknown", "not a record of this version", brief_text(orjson.dumps(record).decode()), "")
    texts = (brief_text(chosen[name]) for name in ("instruction", "response"))
    return Shown(str(chosen["id"]), inert(group), inert(chosen["about"]), *texts)


def group_of(record: dict[str, Any]) -> str:
    """Return what records of a file are told apart by: the filter that dropped them, or their domain."""
    metadata = record.get("metadata")
    return str(record.get("filter") or (metadata.get("domain") if isinstance(metadata, dict) else "") or "unknown")


def stamp_of(files: list[Path]) -> Stamp:
    """Tell files apart from what they were."""
    return tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in files)


def parsed(line: bytes) -> dict[str, Any] | None:
    """Read a line; None for what is no record, such as the end of a file that is cut off."""
    try:
        value = orjson.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def lines_of(path: str) -> Iterator[tuple[int, bytes]]:
    """Yield each line of a file, with its offset in bytes."""
    with open(path, "rb") as file:
        place = 0
        for line in file:
            yield place, line
            place += len(line)


@functools.lru_cache(maxsize=4)
def found(stamp: Stamp, text: str, group: str) -> "tuple[list[tuple[str, array[int]]], int]":
    """Find the records that hold a text and are of a group: (file, offsets) each, and the number of broken lines.

    Capital letters do not count. An empty text or group leaves nothing out.
    """
    wanted, broken = text.casefold(), 0
    places = []
    for path, _, _ in stamp:
        offsets: array[int] = array("q")
        for place, line in lines_of(path):
            record = parsed(line)
            if record is None:
                broken += 1
            elif (not group or group_of(record) == group) and (not wanted or wanted in matter(record)):
                offsets.append(place)
        places.append((path, offsets))
    return places, broken


def matter(record: dict[str, Any]) -> str:
    """Return the text of a record that is searched."""
    inner = record.get("record", record)
    inner = inner if isinstance(inner, dict) else {}
    parts = [record.get("id"), record.get("reason"), inner.get("instruction"), inner.get("response")]
    return "\n".join(str(part) for part in parts if part).casefold()


@functools.lru_cache(maxsize=32)
def groups(stamp: Stamp) -> list[str]:
    """List the groups of the records of some files, sorted."""
    return sorted(
        {group_of(record) for path, _, _ in stamp for _, line in lines_of(path) if (record := parsed(line)) is not None}
    )


@dataclass(frozen=True)
class Page:
    """A page of records."""

    records: list[Shown]
    number: int
    """From 1."""
    pages: int
    matching: int
    broken: int


def page(files: list[Path], text: str, group: str, number: int, size: int) -> Page:
    """Read a page of the records that match. InputError if a file is gone; a number beyond the last is the last."""
    try:
        stamp = stamp_of(files)
        places, broken = found(stamp, text.strip(), group)
        matching = sum(len(offsets) for _, offsets in places)
        pages = max(1, -(-matching // size))
        number = min(max(1, number), pages)
        first, left, rows = (number - 1) * size, size, []
        for path, offsets in places:
            chosen = offsets[first : first + left]
            first, left = max(0, first - len(offsets)), left - len(chosen)
            with open(path, "rb") as file:
                for offset in chosen:
                    file.seek(offset)
                    rows.append(parsed(file.readline()))
        if stamp_of(files) != stamp:
            return page(files, text, group, number, size)
        return Page([shown(row) for row in rows if row is not None], number, pages, matching, broken)
    except OSError as error:
        raise InputError(f"{Path(error.filename or '').name}: {error.strerror}; a build has replaced it") from None
