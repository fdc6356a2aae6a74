"""What must not leave this machine: keys, tokens, and the names of its places."""

import io
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ingot.curation.personal import find_secrets
from ingot.errors import InputError

CHUNK = 16 << 20
OVERLAP = 4096
"""Bytes that two chunks share, so that nothing is cut where one ends."""
SECRET_NAMES = re.compile(r"KEY|TOKEN(?!IZER)|SECRET|PASSWORD|PASSWD|CREDENTIAL")
SHORTEST = 12
"""Characters from which the value of a variable is looked for. What is shorter is also found by chance."""
PASSWORD = re.compile(r"\w://[^/\s:@\"'<]+:[^/\s:@\"'<]+@")
"""An address with the name and the password of somebody."""

Contents = Mapping[str, Path | bytes]
"""Files by their names."""


def own_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """List the secrets in the environment of this process: {value: name of the variable}."""
    return {
        value: f"the value of ${name}"
        for name, value in variables.items()
        if SECRET_NAMES.search(name.upper()) and len(value) >= SHORTEST
    }


def chunks(name: str, content: Path | bytes) -> Iterator[str]:
    """Read a file in pieces that overlap, a character for every byte. Of one that is packed, what is inside.

    Raises InputError if it cannot be unpacked.
    """
    import zstandard

    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        packed = isinstance(content, Path) and content.suffix == ".zst"
        # Ingot's own files have an order of bytes of their own, but only among the numbers of the weights.
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) if packed else file
        kept = b""
        try:
            while read := reader.read(CHUNK):
                yield (kept + read).decode("latin-1")
                kept = read[-OVERLAP:]
        except zstandard.ZstdError as error:
            raise InputError(f"{name}: it cannot be unpacked ({error}); build it again") from None


def leaks(files: Contents, own: Mapping[str, str]) -> Iterator[str]:
    """Yield what files tell that they should not. No secret is repeated, only its kind.

    `own` are the secrets and places of this machine: {value: what it is}.
    """
    looked_for = {os.fsencode(value).decode("latin-1"): what for value, what in own.items()}
    for name, content in files.items():
        kinds: dict[str, None] = {}
        for text in chunks(name, content):
            kinds |= dict.fromkeys(f"a secret of the kind {span.kind!r}" for span in find_secrets(text))
            kinds |= dict.fromkeys(["a password in an address"] if PASSWORD.search(text) else [])
            kinds |= dict.fromkeys(what for value, what in looked_for.items() if value in text)
        yield from (f"{name}: {kind}" for kind in kinds)


def own_places() -> dict[str, str]:
    """List where somebody works on this machine: {path: what it is}."""
    places = {str(Path.home()): "the path of your home folder", str(Path.cwd()): "the path of the project"}
    return {path: what for path, what in places.items() if path.count("/") > 1 or len(path) >= SHORTEST}


def places(files: Mapping[str, Path]) -> list[str]:
    """List the absolute paths that JSON files name, such as that of a base outside of the project."""
    texts = {name: path.read_text(encoding="utf-8") for name, path in files.items()}
    return sorted({
        f"{name}: {found}" for name, text in texts.items() for found in re.findall(r'"(/[^"/]+/[^"]*)"', text)
    })  # fmt: skip
