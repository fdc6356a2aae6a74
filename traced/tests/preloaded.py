"""Runs Snakemake, DVC and modules of Python in a process that has imported their libraries before.

Every run of Snakemake or DVC spends one to two seconds on imports, and the tests start hundreds. So one process imports
once, and forks for each run (the fork server of `multiprocessing`). What runs there is the program's own `main`, in a
process, folder and environment of its own; what a build starts itself is started as ever.
"""

import atexit
import gc
import multiprocessing
import os
import runpy
import shutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path

PROGRAMS = {"snakemake": "snakemake.cli", "dvc": "dvc.cli"}
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["snakemake.cli", "snakemake_executor_plugin_slurm", "dvc.cli.parser", "dvc.repo", "dvc.stage.loader"]
)


def can_run(command, environment):
    """Whether a command is a program of this environment that `run` can run."""
    found = Path(shutil.which(command[0], path=environment["PATH"]) or "nothing")
    if found.parent != Path(sys.executable).parent:
        return False
    return found.name in PROGRAMS or (found.name.startswith("python") and command[1:2] == ["-m"])


def run(command, folder, environment):
    """Run a command; return its exit status, and what it said on both streams."""
    with tempfile.NamedTemporaryFile() as said:
        process = CONTEXT.Process(target=become, args=(command, str(folder), environment, said.name))
        process.start()
        process.join()
        return process.exitcode, said.read().decode(errors="replace")


def become(command, folder, environment, said):
    """Be the process of a command, as if it had just been started."""
    gc.freeze()  # what was imported is no garbage
    out = os.open(said, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(out, stream)
    os.close(out)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    installed = [path for path in sys.path if path.startswith((sys.prefix, sys.base_prefix))]
    given = [str(Path(path).absolute()) for path in environment.get("PYTHONPATH", "").split(":") if path]
    name = Path(command[0]).name
    try:
        if name in PROGRAMS:
            sys.argv = command
            sys.path[:] = [*given, *installed]
            sys.exit(import_module(PROGRAMS[name]).main())
        sys.argv = command[2:]
        sys.path[:] = [folder, *given, *installed]
        runpy.run_module(command[2], run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()
