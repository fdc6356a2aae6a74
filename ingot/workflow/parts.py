"""The files of the sources, and the parts that they are cut into."""

import glob
import hashlib
import re
from pathlib import Path

from ingot.errors import InputError
from ingot.settings.data import Source
from ingot.settings.section import Section

GENERATED = {
    "alpaca": "results/world/alpaca.jsonl",
    "messages": "results/world/messages.jsonl.gz",
    "question": "results/world/question.jsonl.zst",
}


class Part(Section):
    """A part of a source. Parts are read and filtered side by side."""

    source: Source
    file: str
    place: int
    """Which part of its file it is, from 0 on."""


def inert(name: str) -> str:
    """Return a file name that no shell, no Snakemake and no DVC reads as anything but a name.

    Where signs are lost or many, a digest tells it from others.
    """
    plain = re.sub(r"[^A-Za-z0-9.]+", "_", name)[-60:]
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{,59}", name):
        return plain
    return f"{hashlib.sha256(name.encode()).hexdigest()[:8]}_{plain}"


def files_of(source: Source) -> list[str]:
    """List the files of a source, in the order of their names.

    Raises InputError if no file matches its pattern, and if its path is that of a folder, a pipe, or a device.
    """
    if source.hub:
        return [f"results/hub/{source.name}/{inert(source.hub.file)}"]
    if source.generator:
        return [GENERATED[source.generator]]
    assert source.path
    path = Path(source.path)
    if path.exists() and not path.is_file():
        hint = f"name its files, such as {source.path}/*.jsonl" if path.is_dir() else "write its records into one"
        raise InputError(f"sources: {source.name}: {source.path} is not a file: {hint}")
    if path.is_file() or not glob.has_magic(source.path):  # a file may be called "data [1].jsonl"
        return [source.path]
    paths = sorted(path for path in glob.glob(source.path, recursive=True) if Path(path).is_file())  # noqa: PTH207
    if not paths:
        raise InputError(f"sources: {source.name}: no file is called like {source.path}")
    return paths


def parts_of(sources: list[Source]) -> dict[tuple[str, str], Part]:
    """Cut the sources into parts: {(name of the source, name of the part): part}.

    Raises InputError if the name of a file is not UTF-8, which DVC's files must be.
    """
    parts: dict[tuple[str, str], Part] = {}
    for source in sources:
        files = files_of(source)
        try:
            names = [inert(Path(file).name).replace(".", "_") for file in files]
        except UnicodeEncodeError:
            odd = next(file for file in files if not file.isprintable())
            raise InputError(f"sources: {source.name}: {odd!r}: this name is not UTF-8: rename the file") from None
        for file, name in zip(files, names, strict=True):
            # Files of different folders may have the same name.
            digest = f"_{hashlib.sha256(file.encode()).hexdigest()[:8]}" if names.count(name) > 1 else ""
            for place in range(source.parts):
                parts[source.name, f"{name}{digest}_{place}"] = Part(source=source, file=file, place=place)
    return parts
