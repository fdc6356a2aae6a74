"""Who is busy with a step. Each step has a lock, which a job and all that it starts hold until the last ends.

The file of the lock says what became of the step: when it began here last, and how it ended.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from traced.files import NOTES
from traced.step import Step

LOCKS = NOTES / "locks"


@dataclass(frozen=True)
class Work:
    """What became of a step when it ran here last."""

    began: float
    """Seconds since 1970."""
    ended: float | None = None
    """None if it runs, or was killed."""
    status: int | None = None
    """The exit status; 0 is success."""
    key: str = ""
    """The key of the trace that it stored last."""


def open_lock(step: Step) -> TextIO:
    """Open the file that stands for a step. What it says stays."""
    path = LOCKS / step.name
    path.parent.mkdir(parents=True, exist_ok=True)
    return open(path, "a+")


def try_lock(file: TextIO) -> bool:
    """Take a lock if nobody has it. OSError if the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_free(file: TextIO) -> bool:
    """Tell whether nobody has a lock. Without locks of the file system, the answer is always yes."""
    try:
        return try_lock(file)
    except OSError:
        return True


def is_unheld(file: TextIO) -> bool:
    """Tell whether nobody has a lock, without being in the way of others who only look."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # held, or a file system without locks, where what has not ended is taken to run
        return False
    return True


def is_busy(step: Step) -> bool:
    """Tell whether a process is at work on a step. Without locks of the file system, the answer is always no."""
    with open_lock(step) as file:
        return not is_free(file)


def wait_until_free(step: Step) -> None:
    """Wait until nobody is at work on a step."""
    with open_lock(step) as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def note(file: TextIO, work: Work) -> None:
    """Write down what becomes of the step whose lock this is. A full disk is no reason to fail."""
    text = json.dumps(asdict(work)).encode()
    with suppress(OSError):
        file.truncate(0)
        os.write(file.fileno(), text)  # at once, at the end, which is the beginning


def noted(file: TextIO) -> Work | None:
    """Read what is written down in a lock. None if that is nothing, or only half of it."""
    try:
        file.seek(0)
        return Work(**json.loads(file.read()))
    except (OSError, ValueError, TypeError):
        return None


def last_key(step: Step) -> str:
    """Return the key of the trace that a step stored here last, or "". Nothing is changed."""
    with suppress(OSError), open(LOCKS / step.name) as file:
        work = noted(file)
        return work.key if work else ""
    return ""


def works(folder: Path = Path()) -> Iterator[tuple[str, Work, bool]]:
    """Yield (name, work, whether a process is at work on it) of each step that ran in a workspace. Nothing is changed.

    What is only half-written is left out.
    """
    for path in sorted((folder / LOCKS).glob("*")):
        with suppress(OSError), open(path) as file:
            if work := noted(file):
                yield path.name, work, work.ended is None and not is_unheld(file)
