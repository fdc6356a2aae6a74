"""Prove that rules declare all that their steps read: build where nothing else is there.

    python -m traced.hermetic [TARGET ...]

Every step on the way to the targets runs again, in a bubblewrap namespace of its own. In it are the inputs of its rule,
its environment and the files of the system, but no network, no home, and none of your variables. A step that looks for
anything else that this machine has fails, and the message names it. strace tells what it looks for: many programs try a
file and go on without it.

A rule whose step needs the network says so: `Trace(settings, network=True)`. Such a step keeps your variables, too.
What a step writes besides its outputs is thrown away.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from traced.step import ARGUMENTS, Step

VARIABLE = "TRACED_HERMETIC"
TOOLS = {"bwrap": "bubblewrap", "strace": "strace"}
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/sys", "/opt/cuda", "/var/cache/fontconfig")
PRIVATE = ("/proc/", "/dev/", "/sys/")  # each namespace has its own, or they say nothing that a result may depend on
KEPT_VARIABLES = re.compile(r"PATH|LANG|LC_\w+|\w+_NUM_THREADS|CUDA_\w+|NVIDIA_\w+|TRACED_SCRATCH|LD_LIBRARY_PATH")
# A line of strace about a path that was not there: where the call begins from, and the path.
NOT_THERE = re.compile(
    r'\w+\((?:(?:AT_FDCWD|\d+)<(?P<start>[^>]*)>, )?"(?P<path>(?:[^"\\]|\\.)*)".* = -1 ENOENT ', re.ASCII
)


def is_wanted() -> bool:
    """Tell whether this is a hermetic build."""
    return bool(os.environ.get(VARIABLE))


def environments(command: Iterable[str]) -> dict[str, None]:
    """List the folders that the programs of a command consist of: a Python environment is a folder, and has a base."""
    found: dict[str, None] = {}
    for word in command:
        path = Path(word)
        if not path.is_absolute() or not os.access(path, os.X_OK) or path.is_dir():
            continue
        settings = path.parent.parent / "pyvenv.cfg"
        if settings.exists():
            found[str(settings.parent)] = None
            home = next(line.partition("=")[2].strip() for line in settings.read_text().splitlines() if "home" in line)
            found[str(Path(home).resolve().parent)] = None
        else:
            found[str(path)] = found[str(path.resolve())] = None
    return {folder: None for folder in found if not folder.startswith(("/usr/", "/bin/"))}


def namespace(step: Step, command: list[str], work: Path, scratch: Path) -> list[str]:
    """Make the command that runs another one with nothing but what the step declares.

    `work` has the folders `stage`, which becomes the working folder, and `seen`, for what strace writes.
    """
    here = Path.cwd()
    options = ["--die-with-parent", "--unshare-pid", "--unshare-ipc", "--dev", "/dev", "--proc", "/proc"]
    options += [] if step.network else ["--unshare-net"]
    options += ["--cap-add", "ALL"] if os.geteuid() == 0 else []
    for device in Path("/dev").glob("nvidia*"):
        options += ["--dev-bind", str(device), str(device)]
    for folder in SYSTEM:
        options += ["--ro-bind-try", folder, folder]
    home = os.path.expanduser("~")  # noqa: PTH111  (empty, and where it is: what is looked for there can be told)
    options += ["--tmpfs", "/tmp", "--tmpfs", home, "--bind", str(work / "stage"), str(here)]  # noqa: S108  (its own)
    for folder in environments([*command, sys.executable]):
        options += ["--ro-bind", folder, folder]
    for path in sorted(step.deps):
        options += ["--ro-bind", str(here / path), os.path.normpath(here / path)]
    for path in step.unwatched:
        options += ["--bind-try", str(here / path), os.path.normpath(here / path)]
    if ARGUMENTS.is_dir():
        options += ["--ro-bind", str(here / ARGUMENTS), str(here / ARGUMENTS)]
    options += ["--bind", str(here / scratch), str(here / scratch), "--bind", str(work / "seen"), "/run/seen"]
    watch = ["strace", "--seccomp-bpf", "-f", "-qq", "-y", "-e", "trace=%file", "-e", "status=failed"]
    return ["bwrap", *options, "--chdir", str(here), "--", *watch, "-o", "/run/seen/calls", "--", *command]


def variables(step: Step, given: Mapping[str, str]) -> dict[str, str]:
    """Choose the variables that a step gets. One with the network may need a key; the others need nothing of yours."""
    own = {"HOME": os.path.expanduser("~"), "TMPDIR": "/tmp"}  # noqa: S108, PTH111  (of the namespace)
    if step.network:
        return {**given, "TMPDIR": own["TMPDIR"]}
    return {name: value for name, value in given.items() if KEPT_VARIABLES.fullmatch(name)} | own


def undeclared(calls: str, here: Path, stage: Path, scratch: Path) -> list[str]:
    """List what a step looked for in vain and this machine has, from the text that strace has written.

    A folder that it then made itself in the `stage`, and what is in `scratch`, is its own.
    """
    found: dict[str, None] = {}
    for match in NOT_THERE.finditer(calls):
        text = match["path"].encode().decode("unicode_escape").encode("latin-1").decode("utf-8", "surrogateescape")
        path = os.path.normpath(os.path.join(match["start"] or here, text))  # noqa: PTH118  (may be absolute)
        if not text or "__pycache__" in path or path.startswith(PRIVATE) or not os.path.lexists(path):
            continue
        if not Path(path).is_relative_to(here):
            found[path] = None
            continue
        name = Path(path).relative_to(here)
        if not (stage / name).is_dir() and not name.is_relative_to(scratch):
            found[str(name)] = None
    return list(found)


def call(step: Step, command: list[str], scratch: Path, environment: Mapping[str, str], files: list[int]) -> int:
    """Run the command of a step in a namespace, and put its outs in their place. Return the exit status.

    RuntimeError names what the step looked for and its rule does not declare.
    """
    here = Path.cwd()
    with tempfile.TemporaryDirectory(dir=scratch.parent) as folder:
        work = Path(folder).resolve()
        stage = work / "stage"
        (work / "seen").mkdir()
        for path in [scratch, *map(Path, step.outs)]:
            (stage / path).parent.mkdir(parents=True, exist_ok=True)
        status = subprocess.call(
            namespace(step, command, work, scratch),
            stdin=subprocess.DEVNULL,
            env=variables(step, environment),
            pass_fds=files,
        )
        calls = work / "seen/calls"
        seen = calls.read_text(encoding="utf-8", errors="surrogateescape") if calls.exists() else ""
        if missed := undeclared(seen, here, stage, scratch):
            raise RuntimeError(
                f"rule {step.rule} does not declare what its step looks for: {', '.join(missed)}; name it among the"
                " inputs of the rule"
            )
        for out in step.outs:
            if (stage / out).exists():
                Path(out).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(stage / out, out)
    return status


def why_not() -> str:
    """Say why no hermetic build is possible here, and what to do; "" if one is."""
    for tool, package in TOOLS.items():
        if shutil.which(tool) is None:
            return f"hermetic builds need {tool}: on Debian, `apt install {package}`"
    trial = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-pid", "--unshare-net", "--"]
    watch = ["strace", "--seccomp-bpf", "-f", "-qq", "-e", "trace=%file", "-o", "/dev/null", "true"]
    done = subprocess.run([*trial, *watch], capture_output=True, text=True, check=False)
    return f"hermetic builds do not work here: {done.stderr.strip()}" if done.returncode else ""


def main() -> None:
    """Build the targets of the command line anew, each step in a namespace of its own."""
    if reason := why_not():
        raise SystemExit(reason)
    command = [
        str(Path(sys.executable).with_name("snakemake")),
        "--cores",
        "all",
        "--forceall",
        "--keep-going",
        "--",
        *sys.argv[1:],
    ]
    raise SystemExit(subprocess.call(command, env={**os.environ, VARIABLE: "1"}))


if __name__ == "__main__":
    main()
