"""Run code that a model wrote, in a sandbox (bubblewrap) and within limits.

The program sees no network, no home folder and no other processes. It can read the folders that a Python interpreter
needs, and no others. It can write to a small temporary folder, which is removed afterwards. Its environment is empty.
It runs without privileges, even if root starts it.
"""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingot.errors import InputError

# Root's programs run as users that nobody else is, for their number of processes counts per user.
USERS = itertools.count(2_000_000 + os.getpid() * 64 % 1_000_000)
SYSTEM = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache")
HOW_TO_INSTALL = (
    "code that a model wrote runs only in a sandbox, and bubblewrap is not installed; install it with `apt install"
    " bubblewrap` (Debian, Ubuntu) or `dnf install bubblewrap` (Fedora), or remove the suites that run code"
)


@dataclass(frozen=True)
class Limits:
    """What a program may use."""

    seconds: float = 10
    """Wall-clock time."""
    memory: int = 1 << 29
    """Bytes per process. All processes of a program together may take `processes` times as much."""
    output: int = 1 << 16
    """Bytes of what it prints, and of each file that it writes."""
    processes: int = 8
    """How many processes may run at the same time."""


DEFAULT = Limits()


@dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    status: int | None
    """The exit status, or None if the program ran out of time."""
    output: str
    """What the program printed, with what it printed to stderr."""

    @property
    def passed(self) -> bool:
        """Whether the program ended with exit status 0. It says so itself: this is no evidence that it is right."""
        return self.status == 0


def require_sandbox() -> None:
    """Raise InputError if there is no sandbox, or if it does not start. The message says what to do."""
    if shutil.which("bwrap") is None:
        raise InputError(HOW_TO_INSTALL)
    trial = subprocess.run(
        command(["/bin/true"], DEFAULT), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if trial.returncode:
        raise InputError(
            f"the sandbox does not start: {trial.stderr.strip()}; does this system allow user namespaces"
            " (sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)?"
        )


def command(program: list[str], limits: Limits) -> list[str]:
    """Make the command that runs a program in the sandbox."""
    # Left to itself, bubblewrap lets only root enter the folders above Python's.
    above_python = [str(folder) for folder in reversed(Path(sys.base_prefix).parents)][1:]
    folders = [part for folder in above_python for part in ("--perms", "0755", "--dir", folder)]
    for folder in dict.fromkeys([*SYSTEM, sys.base_prefix]):
        folders += ["--ro-bind-try", folder, folder]
    isolated = ["--unshare-all"]
    limited = [
        *("prlimit", f"--as={limits.memory}", f"--fsize={limits.output}", f"--nproc={limits.processes}"),
        *("--core=0", f"--cpu={int(limits.seconds) + 1}", "--"),
    ]
    if os.geteuid() == 0:
        # No limit of processes holds for root, so the program runs as another user. Root can become one only if the
        # sandbox has no user namespace of its own.
        isolated = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        isolated += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        user = next(USERS)
        limited = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs", *limited]
    return [
        *(shutil.which("bwrap") or "bwrap", *isolated, "--die-with-parent", "--new-session", "--clearenv"),
        *("--setenv", "PATH", "/usr/bin:/bin", *folders, "--dev", "/dev", "--proc", "/proc"),
        *("--perms", "1777", "--size", str(limits.memory), "--tmpfs", "/tmp", "--chdir", "/tmp"),  # noqa: S108  (its own)
        *("--remount-ro", "/", "--remount-ro", "/dev"),  # / and /dev/shm lie in memory: a program could fill it
        *("--", *limited, *program),
    ]


def python_of_sandbox() -> str:
    """Return the interpreter that programs run in."""
    return str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")


@contextlib.contextmanager
def in_sandbox(arguments: list[str], limits: Limits, **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start the interpreter in a sandbox, and kill everything in it at the end."""
    # bubblewrap's own environment must be empty: the program can read it.
    process = subprocess.Popen(
        command([python_of_sandbox(), "-I", "-S", *arguments], limits), env={}, start_new_session=True, **streams
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run_python(program: str, limits: Limits = DEFAULT, player: str = "") -> Outcome:
    """Run a Python program, given as its text, and return how it ended. It can use the standard library only.

    If there is a `player`, that program runs in another sandbox. The first program gets two descriptors as arguments:
    what it writes to the one comes to the player's standard input, and from the other it reads the player's output.
    """
    # Output goes to a file and not to a pipe: the limit on the size of files bounds it, however fast it comes.
    with contextlib.ExitStack() as stack:
        output, source = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        source.write(program.encode("utf-8", "surrogatepass"))
        source.seek(0)
        streams: dict[str, Any] = {"stdout": output, "stderr": output}
        arguments, ends = ["-"], list[int]()
        if player:
            (questions, ask), (answers, answer) = os.pipe(), os.pipe()
            ends = [questions, ask, answers, answer]
            stack.enter_context(
                in_sandbox(["-c", player], limits, stdin=questions, stdout=answer, stderr=subprocess.DEVNULL)
            )
            streams["pass_fds"] = (ask, answers)
            arguments += [str(ask), str(answers)]
        process = stack.enter_context(in_sandbox(arguments, limits, stdin=source, **streams))
        for end in ends:  # else neither would notice that the other has ended
            os.close(end)
        try:
            status: int | None = process.wait(limits.seconds)
        except subprocess.TimeoutExpired:
            status = None
        output.seek(0)
        return Outcome(status, output.read(limits.output).decode("utf-8", "replace"))
