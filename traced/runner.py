"""Stands in front of every job: keeps others off, runs the command, stores what it wrote, then the trace.

    python traced/runner.py RULE TRACE -- COMMAND ...

The scheduler has looked the trace up already. It is looked up again here only after waiting for another process that
was busy with the same step, such as a job that outlived its scheduler. The command holds the lock, too. So the lock
lasts as long as anybody may still write.

A command finds in TRACED_SCRATCH the name of a folder for what it wants to go on from if it is killed, such as the
checkpoints of a training. The folder belongs to the key: who reads anything else gets another, empty one. It goes once
the trace is stored.
"""

import fcntl
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TextIO

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from traced import hermetic
from traced.lock import Work, note, noted, open_lock, try_lock
from traced.remote import UnreachableError
from traced.step import Step
from traced.store import Entry, key_of
from traced.workspace import Workspace, scratch_of

SCRATCH = "TRACED_SCRATCH"
CRASHES = ("SIGABRT", "SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE")
TRIES = 5
"""How often a lock is asked for before somebody is said to have it."""


def say(step: Step, message: str) -> None:
    """Say something to a person, in the log of the job."""
    print(f"traced: {step.name}: {message}", file=sys.stderr, flush=True)  # noqa: T201


def by_signal(status: int) -> str:
    """Say by which signal a command was ended, and what that mostly means; "" if by none."""
    try:
        name = signal.Signals(status - 128).name
    except ValueError:
        return ""
    hint = "a library that it uses crashed" if name in CRASHES else "somebody ended it"
    if name == "SIGKILL":
        hint = "the machine may have had no memory left, which `dmesg` tells, or somebody ended it"
    return f"the command was ended by {name}: {hint}"


def hold(step: Step) -> tuple[TextIO, bool]:
    """Take the lock on a step, and tell whether somebody else had it first."""
    file = open_lock(step)
    try:
        for _ in range(TRIES):  # whoever only looks whether a step runs holds its lock for a moment
            if try_lock(file):
                return file, False
            time.sleep(0.02)
        say(step, "another process is busy with this step, waiting for it to end")
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        say(step, f"this file system has no locks ({error.strerror}): run only one Snakemake at a time")
        return file, False
    return file, True


def run(step: Step, command: list[str]) -> int:
    """Run a step, record it, and return the exit status. Note when it began, and how it ended."""
    held, waited = hold(step)
    last = noted(held)
    work = Work(time.time(), key=last.key if last else "")
    note(held, work)
    status = 1
    try:
        workspace = Workspace()
        before = workspace.entry_of(step, workspace.digests.of_all(step.deps))
        status = run_held(workspace, step, before, command, held, waited)
        if status == 0:
            work = replace(work, key=key_of(before))
    finally:
        note(held, replace(work, ended=time.time(), status=status))
    return status


def run_held(workspace: Workspace, step: Step, before: Entry, command: list[str], held: TextIO, waited: bool) -> int:
    """Run a step whose lock is held, record it, and return the exit status. `before` is what it reads."""
    if waited:
        for entry in workspace.store.lookup(key_of(before)):
            try:
                if workspace.available(entry):
                    workspace.restore(entry)
                    say(step, "done by the other process, restored")
                    return 0
            except UnreachableError as error:
                say(step, f"done by the other process, but it cannot be restored, so it runs again: {error}")
    try:
        if workspace.is_finished(step, before) and not hermetic.is_wanted():
            say(step, "an earlier run had finished this, and was stopped while storing it: it is stored now")
            workspace.record(step, before)
        else:
            began = time.monotonic()
            scratch = scratch_of(step) / key_of(before)[:32]
            scratch.mkdir(parents=True, exist_ok=True)
            environment = os.environ | {SCRATCH: str(scratch)}
            if hermetic.is_wanted():
                status = hermetic.call(step, command, scratch, environment, [held.fileno()])
            else:
                status = subprocess.call(command, stdin=subprocess.DEVNULL, pass_fds=[held.fileno()], env=environment)
            if status:
                status = status if status > 0 else 128 - status  # as a shell has it
                if ended := by_signal(status):
                    say(step, ended)
                return status
            seconds = round(time.monotonic() - began, 3)
            workspace.finish(step, before)
            # Linux tells KiB, of the largest of all processes that have ended.
            peak = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            workspace.record(step, before, seconds, peak)
    except RuntimeError as error:
        workspace.discard(step)
        say(step, str(error))
        return 1
    return 0


def main() -> None:
    """Run the step that the command line describes."""
    rule, trace, separator, *command = sys.argv[1:]
    if separator != "--" or not command:
        raise SystemExit(__doc__)
    step = Step.of(rule, trace)
    try:
        raise SystemExit(run(step, command))
    except OSError as error:
        say(step, f"{error.filename or 'cache'}: {error.strerror or error}")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
