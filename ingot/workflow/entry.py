"""Run a step. The workflow engine starts every step with the command below.

    python -m ingot.workflow.entry workflow_scripts/THEME/STEP.py SPEC

SPEC is JSON: {"input": {name: path}, "output": {name: path}, "params": {name: value}}; a long one is in a file, and
given as @FILE. The step is the function STEP of the script. It takes all of them by name; parameters have the types
that it declares. It writes to temporary paths beside its outputs, and these get their final names after it has
returned. So an output is whole, or it does not exist.

A step that has a parameter `work` gets a folder for what it wants to go on from if it is killed. The folder belongs to
what this job reads: code, settings, inputs. It is removed once the result is stored.
"""

import errno
import importlib
import inspect
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from ingot.errors import InputError
from ingot.inference.device import PROMISED
from ingot.inference.light_imports import import_light
from ingot.io.files import remove

# The trace layer names the folder in this variable.
SCRATCH = "TRACED_SCRATCH"


def as_paths(value: str | list[str]) -> Path | list[Path]:
    """Turn a path or a list of paths from JSON into Path objects."""
    return [Path(item) for item in value] if isinstance(value, list) else Path(value)


def share(path: Path) -> None:
    """Give every file of an output the usual permissions of a new file. Some libraries let only the owner read them."""
    umask = os.umask(0)
    os.umask(umask)
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            file.chmod(0o666 & ~umask)


@contextmanager
def whole_outputs(outputs: dict[str, str]) -> Iterator[dict[str, Path]]:
    """Give a temporary path for each output. They get their final names if the block ends well, else they are removed.

    Raises RuntimeError if an output was not written.
    """
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
    """Stop with a message that a person can read, instead of a traceback."""
    sys.stderr.write(f"\ningot: {step}: {message}\n")
    raise SystemExit(1)


def disk_is_full(error: BaseException | None) -> bool:
    """Tell whether an error, or its cause, means that the disk is full. Libraries say so in different words."""
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return True
        if "os error 28" in str(error) or "No space left" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def function_of(script: Path) -> Any:
    """Import the script of a step and return its function, which has the name of the script."""
    module = ".".join(script.with_suffix("").parts[-3:])
    return getattr(importlib.import_module(module), script.stem)


def typed(function: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Convert values from JSON to the types that a step declares, such as a section of the settings."""
    types = get_type_hints(function)
    return {name: TypeAdapter(types.get(name, Any)).validate_python(value) for name, value in params.items()}


def takes_work(function: Any) -> bool:
    """Tell whether a step wants a folder for what it goes on from."""
    return "work" in inspect.signature(function).parameters


def run(script: Path, spec: dict[str, dict[str, Any]]) -> None:
    """Run a step. A user's mistake or a full disk ends in one clear message, a defect of Ingot in a traceback."""
    step = script.stem
    inputs = {name: as_paths(value) for name, value in spec["input"].items()}
    try:
        with whole_outputs(spec["output"]) as outputs:
            function = function_of(script)
            work = {"work": Path(os.environ[SCRATCH])} if takes_work(function) else {}
            function(**inputs, **outputs, **work, **typed(function, spec["params"]))
    except InputError as error:
        fail(step, str(error))
    except Exception as error:
        if disk_is_full(error):
            folder = Path(next(iter(spec["output"].values()))).parent
            fail(step, f"the disk is full while writing to {folder}; free some space and run again, nothing was lost")
        if isinstance(error, OSError) and error.filename:
            fail(step, f"{error.filename}: {(error.strerror or 'cannot be used').lower()}")
        raise


def main() -> None:
    """Run the step that the command line names."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # such as that there is no torch
    import_light()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    spec = sys.argv[2]
    told = json.loads(Path(spec[1:]).read_text() if spec.startswith("@") else spec)
    if told.get("gpu"):
        os.environ[PROMISED] = str(told["gpu"])
    run(Path(sys.argv[1]), told)


if __name__ == "__main__":
    main()
