"""What one worker of pytest-xdist makes for all."""

import fcntl
import shutil
from pathlib import Path


def made_once(path, make):
    """Let one worker make a file or folder, and the others wait for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        finished = Path(f"{path}.made")
        if not finished.exists():
            shutil.rmtree(path, ignore_errors=True)  # of a worker that failed
            make(path)
            finished.touch()
    return path
