"""What this machine is, and what it lacks for a configuration: each check says what it found, and what to do.

`make doctor` runs all checks, and a build runs those that its first job would be too late for.
"""

import contextlib
import ctypes
import datetime
import email.utils
import fcntl
import glob
import http.client
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ingot.errors import InputError
from ingot.settings.everything import Settings
from ingot.settings.judge import Endpoint
from ingot.settings.section import Section
from ingot.workflow.build import Build

State = Literal["ok", "note", "fail"]
PYTHONS = ((3, 11), (3, 13))
"""The versions that the locks are made for: from the first, and before the second."""
LEAST_DISK = 10 << 30
"""Bytes: the environments take six, and a build of the tiny preset one."""
OPENAI = "https://api.openai.com/v1"
CLOCK_SLACK = 300
"""Seconds by which clocks may differ before certificates and signatures suffer."""
ASK_TORCH = "import torch; print(torch.version.cuda, torch.cuda.is_available())"
CUDA_OF_TORCH = re.compile(r"\+cu(\d+)(\d)")
CGROUP = Path("/sys/fs/cgroup")
FICLONE = 0x40049409
"""The request of Linux that makes a copy which shares its blocks with the original (ioctl_ficlone(2))."""


@dataclass(frozen=True)
class Finding:
    """What a check found. `note`: it works, but not as well as it could. `fail`: a build would fail."""

    check: str
    state: State
    found: str
    todo: str = ""


def ok(check: str, found: str) -> Finding:
    """Say that all is well."""
    return Finding(check, "ok", found)


def output_of(*command: str | Path, seconds: float = 20) -> str | None:
    """Return what a program prints. None if it is not there, fails, or takes too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def size(count: float) -> str:
    """Write a number of bytes."""
    return f"{count / (1 << 30):.1f} GiB"


def venvs(root: Path) -> Path:
    """Return the folder of the environments, as envs/build.py chooses it."""
    return Path(os.environ.get("INGOT_VENVS", root / ".venvs"))


def check_python() -> Finding:
    """Check the version of Python."""
    least, below = PYTHONS
    version = platform.python_version()
    if least <= sys.version_info[:2] < below:
        return ok("python", version)
    wanted = f"from {'.'.join(map(str, least))}, and before {'.'.join(map(str, below))}"
    return Finding("python", "fail", version, f"install a Python {wanted}, and call make with it first in PATH")


def check_compiler(root: Path) -> Finding:
    """Look for a compiler, which the first build of the environments needs for llama.cpp."""
    found = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    if found:
        return ok("compiler", found)
    if any(venvs(root).glob("gguf-*")):
        return Finding(
            "compiler", "note", "none, and llama.cpp is built already", "install g++ before its next version"
        )
    return Finding("compiler", "fail", "none", "install a C++ compiler, such as g++: llama.cpp is compiled once")


def check_disk(folder: Path) -> Finding:
    """Check how much room there is."""
    free = shutil.disk_usage(folder).free
    if free >= LEAST_DISK:
        return ok("disk", f"{size(free)} free")
    return Finding("disk", "fail", f"{size(free)} free", f"make room: the environments alone need {size(LEAST_DISK)}")


def check_memory(settings: Settings) -> Finding:
    """Compare the memory of this machine with what a job may take by the preset."""
    total, wanted = memory()[0], settings.resources.memory_mb * 1_000_000
    found = f"{size(total)}, {size(memory()[1])} of them free; a job may take {size(wanted)}"
    if wanted <= total:
        return ok("memory", found)
    todo = "take a preset for a smaller model, a machine with more memory, or a cluster profile; or lower"
    todo += " `resources.memory_mb`, if `make plan` says that no step needs as much"
    return Finding("memory", "fail", found, todo)


def memory() -> tuple[int, int]:
    """Return how many bytes of memory this machine or container has, and how many of them are free."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    fields = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    whole, free = fields["MemTotal"], fields["MemAvailable"]
    with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit
        most, taken = (int((CGROUP / f"memory.{name}").read_text(encoding="ascii")) for name in ("max", "current"))
        whole, free = min(whole, most), min(free, max(0, most - taken))
    return whole, free


def shared(settings: Settings) -> dict[str, int]:
    """Return what the jobs on this machine share, as Snakemake's resources. One job may always run, however large."""
    resources = settings.resources
    there = {"mem_mb": max(memory()[0] // 1_000_000, resources.memory_mb)}
    # One job at a time: nobody tells two jobs to take different GPUs.
    return {**there, "gpu": resources.gpu} if resources.gpu else there


def check_cores(settings: Settings) -> Finding:
    """Compare the cores with the threads of a job."""
    cores = len(os.sched_getaffinity(0))
    found = f"{cores} cores; a training takes {settings.threads}"
    if settings.threads <= cores:
        return ok("cores", found)
    return Finding("cores", "note", found, f"set `threads` to {cores}: more slow each other down")


def check_locks(folder: Path) -> Finding:
    """Check that a lock on a file of this folder keeps others out."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as first, open(first.name, "r+b") as second:
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return ok("file locks", "they hold")
            found = "they do not hold"
        except OSError as error:
            found = f"there are none ({error.strerror})"
    return Finding("file locks", "fail", found, "put the project on a local disk, or mount the share with locks")


def check_reflinks(folder: Path) -> Finding:
    """Check whether a copy can share its blocks with the original."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as a, tempfile.NamedTemporaryFile(dir=folder) as b:
        a.write(bytes(4096))
        a.flush()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ioctl(b.fileno(), ctypes.c_ulong(FICLONE), a.fileno()) == 0:
            return ok("reflinks", "copies into the cache take no room")
    return Finding(
        "reflinks", "note", "none: large outputs are moved into the cache", "a disk with btrfs or XFS would have them"
    )


def check_sandbox() -> Finding:
    """Check that code of models can be run where it reaches nothing."""
    bwrap = shutil.which("bwrap")
    if bwrap and output_of(bwrap, "--ro-bind", "/", "/", "--unshare-all", "true") is not None:
        return ok("sandbox", bwrap)
    found = "bwrap fails here" if bwrap else "no bwrap"
    todo = (
        "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, or apparmor_restrict_unprivileged_userns=0)"
        if bwrap
        else "install bubblewrap"
    )
    return Finding("sandbox", "note", found, f"{todo}: answers that are code, and `make hermetic`, need it")


def gpus() -> list[dict[str, Any]]:
    """List the GPUs that the driver knows: name, and memory in bytes (0: not told)."""
    listed = output_of("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
    rows = [line.split(", ") for line in (listed or "").splitlines() if line.count(", ") == 1]
    # Some GPUs share the memory of the machine, and tell none of their own.
    return [{"name": name, "memory": int(told) << 20 if told.isdigit() else 0} for name, told in rows]


def check_gpu(settings: Settings) -> Finding:
    """Compare the GPUs with what a job is promised by the preset."""
    found, wanted, made_for = gpus(), settings.resources.gpu, settings.resources.gpu_memory_mb
    named = ", ".join(f"{gpu['name']} ({size(gpu['memory'])})" for gpu in found) or "none"
    largest = max((gpu["memory"] for gpu in found), default=0)  # CUDA takes the fastest one first
    if len(found) >= wanted > 0 and made_for and 0 < largest < made_for * 1_000_000:
        return Finding(
            "gpu",
            "fail",
            f"{named}; the preset is made for {size(made_for * 1_000_000)} on each",
            f"set `resources.gpu_memory_mb` to {largest // 1_000_000}, and see what `make plan` says of each step then",
        )
    if len(found) >= wanted:
        return ok("gpu", named if found else "none, and the preset needs none")
    return Finding(
        "gpu",
        "fail",
        f"{named}; a job is promised {wanted}",
        "use a cluster profile (PROFILE=profiles/slurm), a machine with a GPU, or a preset with `resources.gpu: 0`",
    )


def check_driver(settings: Settings, root: Path) -> Finding:
    """Compare what the driver can run with what torch was built for."""
    cuda = re.search(r"CUDA Version: (\d+)\.(\d+)", output_of("nvidia-smi") or "")
    if not cuda:
        return ok("driver", "no GPU, so none is needed")
    has = int(cuda[1]), int(cuda[2])
    lock = (root / "envs/ml.lock").read_text(encoding="utf-8").splitlines()[0]
    pinned = CUDA_OF_TORCH.search(lock)
    wanted = (int(pinned[1]), int(pinned[2])) if pinned else None
    python = next(iter(sorted(venvs(root).glob("ml-*/bin/python"))), None)
    told = (output_of(python, "-c", ASK_TORCH, seconds=120) if python else None) or ""
    if version := re.match(r"(\d+)\.(\d+)", told):
        wanted = int(version[1]), int(version[2])
    state: State = "fail" if settings.resources.gpu else "note"
    found = f"CUDA {has[0]}.{has[1]}" + (f"; torch is built for {wanted[0]}.{wanted[1]}" if wanted else "")
    if wanted and wanted[0] > has[0]:
        return Finding("driver", state, found, "update the driver of NVIDIA, or it will be a training on the CPU")
    if told.endswith("False\n"):
        return Finding("driver", state, f"{found}; torch sees no GPU", "see that this user may use /dev/nvidia*")
    return ok("driver", found)


def check_slurm(profile: str) -> Finding:
    """Check that Slurm answers, if the build shall run there."""
    there = shutil.which("sbatch")
    if "slurm" not in profile:
        return ok("slurm", "not used" + (", and it is here: PROFILE=profiles/slurm" if there else ""))
    if not there:
        return Finding("slurm", "fail", "no sbatch", "start the build on a node that may submit jobs")
    told = output_of("sinfo", "--noheader", "--format=%P %a %D")
    if told is None:
        return Finding("slurm", "fail", "sinfo fails", "ask whoever runs the cluster: slurmctld does not answer")
    return ok("slurm", "; ".join(told.split("\n")).strip("; "))


def answer_of(url: str, key: str | None = None) -> tuple[int | None, str, str | None]:
    """Ask a server; return (status, what is wrong with it, its time). No status: it cannot be reached."""
    request = urllib.request.Request(url)  # noqa: S310  (settings allow http and https only)
    if key:
        if not key.isprintable():
            return None, "the key has signs that no header may have, such as the end of a line", None
        request.add_unredirected_header("authorization", f"Bearer {key}")  # it is for nobody else
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return response.status, "", response.headers.get("date")
    except urllib.error.HTTPError as error:
        return error.code, error.reason, error.headers.get("date")
    except (OSError, ValueError) as error:
        return None, str(getattr(error, "reason", type(error).__name__)), None
    except http.client.HTTPException as error:
        return None, f"what answers there speaks no HTTP ({type(error).__name__})", None


def endpoints_of(section: Any, path: str = "") -> Iterator[tuple[str, Endpoint]]:
    """Yield (key, endpoint) of every endpoint that settings name."""
    if isinstance(section, Endpoint):
        yield path, section
    elif isinstance(section, Section):
        for name in type(section).model_fields:
            yield from endpoints_of(getattr(section, name), f"{path}.{name}".lstrip("."))
    elif isinstance(section, list | tuple):
        for i, one in enumerate(section):
            yield from endpoints_of(one, f"{path}[{i}]")


def check_endpoint(path: str, endpoint: Endpoint) -> Finding:
    """Check that an endpoint can be reached, and that it takes the key."""
    check, address = f"endpoint {path}", (endpoint.endpoint or OPENAI).rstrip("/")
    key = os.environ.get(endpoint.key_variable, "").strip()
    if not key and not endpoint.endpoint:
        todo = f"set it to your key, or name a server of your own as `{path}.endpoint`"
        return Finding(check, "fail", f"{address}: {endpoint.key_variable} is not set", todo)
    status, wrong, _ = answer_of(f"{address}/models", key)
    if status is None:
        return Finding(check, "fail", f"{address}: {wrong}", "start the server, or correct the address")
    if status in (401, 403):
        todo = f"correct {endpoint.key_variable}" if key else f"set {endpoint.key_variable}"
        return Finding(check, "fail", f"{address}: the key is not taken ({status})", todo)
    if status >= 500:
        return Finding(check, "fail", f"{address}: it answers with {status}", "look at the log of that server")
    if status != 200:
        return Finding(
            check, "note", f"{address}: it has no list of models ({status})", "see that the address is right"
        )
    return ok(check, f"{address} answers")


def check_files(settings: Settings) -> Finding:
    """Check that the files of sources and benchmarks are there. What a build makes is in results/."""
    named = [*(one.path for one in settings.sources if one.path), *settings.benchmarks]
    brought = [path for path in named if not path.startswith("results/")]
    gone = [path for path in brought if not Path(path).is_file() and not glob.glob(path)]  # noqa: PTH207
    if gone:
        return Finding("files", "fail", f"no such file: {', '.join(gone)}", "correct the path, or fetch the file")
    return ok("files", f"{len(brought)} of sources and benchmarks are there")


def check_hub(settings: Settings) -> Finding:
    """Check that the hub gives the base."""
    base = settings.base
    if base.kind != "hub":
        return ok("hub", "not used")
    name, revision = (urllib.parse.quote(str(text)) for text in (base.model, base.revision))
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    status, wrong, _ = answer_of(f"{hub}/api/models/{name}/revision/{revision}", token())
    if status == 200:  # a gated model is listed to everybody, and given to few
        status, wrong, _ = answer_of(f"{hub}/api/models/{name}/auth-check", token())
        status = 200 if status == 404 else status  # a mirror that knows no such question
    if status == 200:
        return ok("hub", f"{base.model} can be had")
    if status in (401, 403):
        todo = f"ask for access at {hub}/{base.model}, and log in with `hf auth login`"
        return Finding("hub", "fail", f"{base.model} is gated, or not there ({status})", todo)
    if status is None:
        todo = "go online, or take a base of the kind `local` or `gguf`; what is in the cache of the hub is used, too"
        return Finding("hub", "fail", f"it cannot be reached: {wrong}", todo)
    return Finding("hub", "fail", f"{base.model}: {status} {wrong}", "correct `base.model` or `base.revision`")


def token() -> str | None:
    """Return the token of the hub that this user is logged in with."""
    if given := os.environ.get("HF_TOKEN", "").strip():
        return given
    folder = Path(os.environ.get("HF_HOME", Path.home() / ".cache/huggingface"))
    with contextlib.suppress(OSError):
        return (folder / "token").read_text(encoding="utf-8").strip() or None
    return None


def check_clock(root: Path, servers: list[str]) -> Finding:
    """Compare the clock with the last commit, and with that of a server if one answers."""
    now = datetime.datetime.now(datetime.UTC)
    committed = (output_of("git", "-C", root, "log", "-1", "--format=%ct") or "").strip()
    if committed and now.timestamp() < int(committed) - CLOCK_SLACK:
        return Finding("clock", "fail", f"{now:%F %H:%M} UTC is before the last commit", "set the clock")
    for url in servers:
        date = answer_of(url)[2]
        with contextlib.suppress(TypeError, ValueError):
            behind = (email.utils.parsedate_to_datetime(date or "") - now).total_seconds()
            if abs(behind) > CLOCK_SLACK:
                return Finding("clock", "fail", f"it is {abs(behind):.0f} seconds off that of {url}", "set the clock")
            return ok("clock", f"{now:%F %H:%M} UTC, as {url} says")
    return ok("clock", f"{now:%F %H:%M} UTC, after the last commit")


def check_environments(root: Path) -> Finding:
    """Say which environments are there."""
    names = sorted({path.parent.parent.name.rpartition("-")[0] for path in venvs(root).glob("*-*/bin/python")})
    if {"data", "gguf", "ml", "serve", "workflow"} <= set(names):
        return ok("environments", ", ".join(names))
    return Finding("environments", "note", ", ".join(names) or "none", "`make envs` builds what is missing")


def all_checks(build: Build, root: Path, profile: str = "") -> list[Callable[[], Finding]]:
    """List every check of this machine for a configuration."""
    folder, settings = Path.cwd(), build.settings
    endpoints = dict(endpoints_of(settings))
    if not (settings.score or settings.judge_open or settings.compare or build.judged_domains):
        endpoints.pop("judge")
    servers = [one.endpoint for one in endpoints.values() if one.endpoint]
    servers += ["https://huggingface.co"] if settings.base.kind == "hub" else []
    of_jobs: list[Callable[[], Finding]] = [
        partial(check_memory, settings),
        partial(check_cores, settings),
        partial(check_gpu, settings),
        partial(check_driver, settings, root),
    ]
    return [
        check_python,
        partial(check_compiler, root),
        partial(check_environments, root),
        partial(check_disk, folder),
        *(() if "slurm" in profile else of_jobs),
        partial(check_locks, folder),
        partial(check_reflinks, folder),
        check_sandbox,
        partial(check_slurm, profile),
        partial(check_files, settings),
        partial(check_hub, settings),
        *(partial(check_endpoint, path, endpoint) for path, endpoint in endpoints.items()),
        partial(check_clock, root, servers),
    ]


def check_before_build(settings: Settings, root: Path) -> None:
    """Raise InputError if this machine lacks what jobs are promised, before the first of them."""
    checks = [partial(check_memory, settings), partial(check_gpu, settings), partial(check_clock, root, [])]
    checks += [partial(check_driver, settings, root)] if settings.resources.gpu else []
    for finding in (check() for check in checks):
        if finding.state == "fail":
            raise InputError(f"{finding.check}: {finding.found}; {finding.todo}")


def to_json(findings: list[Finding]) -> str:
    """Write findings for programs."""
    return json.dumps([vars(finding) for finding in findings], indent=2)
