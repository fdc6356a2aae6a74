"""Find the locked environments of the project."""

import subprocess
import sys
from pathlib import Path

from ingot.errors import InputError


def python_of(name: str, root: Path) -> Path:
    """Return the Python of an environment of the project in `root`. The environment is built if it is missing.

    Raises InputError if it cannot be built.
    """
    command: list[str | Path] = [sys.executable, root / "envs/build.py", name]
    built = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode:
        raise InputError(f"the environment `{name}` cannot be built; see above")
    return Path(built.stdout.strip()) / "bin/python"
