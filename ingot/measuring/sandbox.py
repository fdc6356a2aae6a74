"""Where code that a model wrote is run: bubblewrap, without network, home or other processes, and within limits.

Of the system, only the folders that a Python interpreter needs are there, read-only; the program may write to a small
temporary folder, which is gone afterwards. Its environment is empty. It runs without privileges even for root.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ingot.errors import InputError

NOBODY = "65534"
SYSTEM = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache")
HOW_TO_INSTALL = (
    "generated code is only run in a sandbox, and bubblewrap is not installed here: `apt install bubblewrap` (Debian,"
    " Ubuntu), `dnf install bubblewrap` (Fedora), or remove the suites that run code"
)


@dataclass(frozen=True)
class Limits:
    """What a program may use: seconds of the clock, bytes of memory per process, bytes of a file, and processes.

    The system bounds memory for each process only: all of them together may take `processes` times as much.
    """

    seconds: float = 10
    memory: int = 1 << 29
    output: int = 1 << 16
    processes: int = 8


DEFAULT = Limits()


@dataclass(frozen=True)
class Outcome:
    """How a program ended: its exit status, or None where it ran out of time; and what it printed."""

    status: int | None
    output: str

    @property
    def passed(self) -> bool:
        """Whether it ended well."""
        return self.status == 0


def require_sandbox() -> None:
    """Raise InputError, with the line that installs it, where there is no sandbox."""
    if shutil.which("bwrap") is None:
        raise InputError(HOW_TO_INSTALL)
    done = subprocess.run(
        command(["/bin/true"], DEFAULT), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise InputError(
            f"the sandbox does not start: {done.stderr.strip()}; does this system allow user namespaces"
            " (sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)?"
        )


def command(program: list[str], limits: Limits) -> list[str]:
    """Return the command that runs a program in the sandbox."""
    # bubblewrap would make the folders above that of Python for root only.
    above = [str(folder) for folder in reversed(Path(sys.base_prefix).parents)][1:]
    seen = [part for folder in above for part in ("--perms", "0755", "--dir", folder)]
    for folder in dict.fromkeys([*SYSTEM, sys.base_prefix]):
        seen += ["--ro-bind-try", folder, folder]
    isolated = ["--unshare-all"]
    limited = [
        *("prlimit", f"--as={limits.memory}", f"--fsize={limits.output}", f"--nproc={limits.processes}"),
        *("--core=0", f"--cpu={int(limits.seconds) + 1}", "--"),
    ]
    if os.geteuid() == 0:
        # Root is under no limit of processes: the program is nobody, which root can only become without a namespace
        # of its own for users.
        isolated = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        isolated += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        limited = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", *limited]
    return [
        *(shutil.which("bwrap") or "bwrap", *isolated, "--die-with-parent", "--new-session", "--clearenv"),
        *("--setenv", "PATH", "/usr/bin:/bin", *seen, "--dev", "/dev", "--proc", "/proc"),
        *("--perms", "1777", "--size", str(limits.memory), "--tmpfs", "/tmp", "--chdir", "/tmp"),  # noqa: S108  (its own)
        *("--remount-ro", "/", "--remount-ro", "/dev"),  # its root and /dev/shm would be in memory, too
        *("--", *limited, *program),
    ]


def run_python(program: str, limits: Limits = DEFAULT) -> Outcome:
    """Run a Python program, given as its text, and return how it ended; it can use the standard library."""
    with tempfile.TemporaryFile() as output:
        # What is written to a file is bounded by its size, however fast it comes.
        python = str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")
        process = subprocess.Popen(
            command([python, "-I", "-S", "-c", program], limits),
            # An empty environment: that of bubblewrap itself can be read inside.
            env={}, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
        try:
            status: int | None = process.wait(limits.seconds)
        except subprocess.TimeoutExpired:
            status = None
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        return Outcome(status, output.read(limits.output).decode("utf-8", "replace"))
