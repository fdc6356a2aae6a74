"""The thin entry of every step, and the only module that knows how the workflow engine starts one.

    python -m ingot.workflow.entry workflow_scripts/THEME/STEP.py SPEC

SPEC is JSON: {"input": {name: path}, "output": {name: path}, "params": {name: value}}. The step is the function STEP
of that script. It takes all of them by name, the parameters in the types that it declares. It writes to temporary paths
beside its outputs, which get their final names only after it has returned: an output is there whole or not at all.
"""

import errno
import importlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from ingot.errors import InputError


def as_paths(value: str | list[str]) -> Path | list[Path]:
    """Turn one path or a list of them, as they come from JSON, into Path objects."""
    return [Path(item) for item in value] if isinstance(value, list) else Path(value)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def share(path: Path) -> None:
    """Give every file of an output the permissions of a new file: some libraries make theirs for the owner only."""
    umask = os.umask(0)
    os.umask(umask)
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            file.chmod(0o666 & ~umask)


@contextmanager
def whole_outputs(outputs: dict[str, str]) -> Iterator[dict[str, Path]]:
    """Give a temporary path for each output; rename all of them when the block ends well, else remove them."""
    final = {name: Path(path) for name, path in outputs.items()}
    partial = {name: path.with_name(f".{path.name}.partial") for name, path in final.items()}
    for path in partial.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        remove(path)
    try:
        yield partial
        missing = [str(final[name]) for name, path in partial.items() if not path.exists()]
        if missing:
            raise RuntimeError(f"the step ended without writing {', '.join(missing)}")
        for name, path in partial.items():
            remove(final[name])
            share(path)
            path.rename(final[name])
    finally:
        for path in partial.values():
            remove(path)


def fail(step: str, message: str) -> None:
    """Stop with a message for a person instead of a traceback."""
    sys.stderr.write(f"\ningot: {step}: {message}\n")
    raise SystemExit(1)


def disk_is_full(error: BaseException | None) -> bool:
    """Tell whether an error, or what caused it, is that of a full disk, in whatever words a library puts it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return True
        if "os error 28" in str(error) or "No space left" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def function_of(script: Path) -> Any:
    """Return the function of a step: that which is called like its script."""
    module = ".".join(script.with_suffix("").parts[-3:])
    return getattr(importlib.import_module(module), script.stem)


def typed(function: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Return the values from JSON in the types that a step declares, such as a section of the settings."""
    declared = get_type_hints(function)
    return {name: TypeAdapter(declared.get(name, Any)).validate_python(value) for name, value in params.items()}


def run(script: Path, spec: dict[str, dict[str, Any]]) -> None:
    """Run one step; a user's mistake or a full disk ends in one clear message, a defect of ours in a traceback."""
    step = script.stem
    inputs = {name: as_paths(value) for name, value in spec["input"].items()}
    try:
        with whole_outputs(spec["output"]) as outputs:
            function = function_of(script)
            function(**inputs, **outputs, **typed(function, spec["params"]))
    except InputError as error:
        fail(step, str(error))
    except Exception as error:
        if disk_is_full(error):
            where = Path(next(iter(spec["output"].values()))).parent
            fail(step, f"the disk is full while writing to {where}; free some space and run again, nothing was lost")
        if isinstance(error, OSError) and error.filename:
            fail(step, f"{error.filename}: {(error.strerror or 'cannot be used').lower()}")
        raise


def main() -> None:
    """Start the step that the command line names."""
    # Everything that a step needs is on disk; whether a hub may be asked is decided before the first job.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    run(Path(sys.argv[1]), json.loads(sys.argv[2]))


if __name__ == "__main__":
    main()
