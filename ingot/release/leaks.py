"""What must not leave this machine: keys, tokens, and the names of its places."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ingot.curation.personal import find_secrets

CHUNK = 16 << 20
OVERLAP = 4096
"""Bytes that two chunks share, so that nothing is cut where one ends."""
SECRET_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL")
SHORTEST = 12
"""Characters from which the value of a variable is looked for. What is shorter is also found by chance."""


def own_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """List the secrets in the environment of this process: {value: name of the variable}."""
    return {
        value: name for name, value in variables.items() if SECRET_NAMES.search(name.upper()) and len(value) >= SHORTEST
    }


def chunks(path: Path) -> Iterator[str]:
    """Read a file in pieces that overlap, a character for every byte."""
    with path.open("rb") as file:
        kept = b""
        while read := file.read(CHUNK):
            yield (kept + read).decode("latin-1")
            kept = read[-OVERLAP:]


def leaks(files: Mapping[str, Path], variables: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield what files {name: path} tell that they should not. No secret is repeated, only its kind.

    `variables` are those of the environment whose values are looked for, too; None: those of this process.
    """
    own = own_secrets(os.environ if variables is None else variables)
    for name, path in files.items():
        kinds: dict[str, None] = {}
        for text in chunks(path):
            kinds |= dict.fromkeys(f"a secret of the kind {span.kind!r}" for span in find_secrets(text))
            kinds |= dict.fromkeys(f"the value of ${variable}" for value, variable in own.items() if value in text)
        yield from (f"{name}: {kind}" for kind in kinds)


def places(files: Iterable[Path]) -> list[str]:
    """List the absolute paths that JSON files name, such as that of a base outside of the project."""
    texts = [path.read_text(encoding="utf-8") for path in files]
    return sorted({found for text in texts for found in re.findall(r'"(/[^"/]+/[^"]*)"', text)})
