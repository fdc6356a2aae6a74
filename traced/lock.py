"""Who is busy with a step. Each step has a lock, which a job and all that it starts hold until the last ends."""

import fcntl
from typing import TextIO

from traced.step import Step
from traced.workspace import DVC


def open_lock(step: Step) -> TextIO:
    """Open the file that stands for a step."""
    path = DVC / "tmp/traced/locks" / step.name
    path.parent.mkdir(parents=True, exist_ok=True)
    return open(path, "w")


def try_lock(file: TextIO) -> bool:
    """Take a lock if nobody has it. OSError if the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_busy(step: Step) -> bool:
    """Tell whether a process is at work on a step. Without locks of the file system, the answer is always no."""
    with open_lock(step) as file:
        try:
            return not try_lock(file)
        except OSError:
            return False


def wait_until_free(step: Step) -> None:
    """Wait until nobody is at work on a step."""
    with open_lock(step) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
