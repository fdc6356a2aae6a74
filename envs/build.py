#!/usr/bin/env python3
"""Build a locked environment once and print its folder: `python3 envs/build.py ml [data ...]`.

An environment is named by the hash of its lock and the Python version, so an edited lock never changes an environment
that a running job uses. It may be given as `ml` or as `envs/ml.lock`. Several processes may ask at once: one builds,
the others wait. Needs only the standard library, because it is what sets everything else up.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = Path(os.environ.get("INGOT_VENVS", HERE.parent / ".venvs"))
# Published as source only: compiled here, and the wheel kept. Not for the very processor that compiles (GGML_NATIVE):
# nodes of a cluster differ, and with AMX llama.cpp of this version crashes on quantised models.
SOURCE_ONLY = ("llama-cpp-python==", "autoawq==")
CMAKE_ARGS = os.environ.get("CMAKE_ARGS", "-DGGML_NATIVE=OFF")
# pip knows where packages come from on this machine. An environment that was built here has none, but its parent has.
PYTHON = sys.executable if importlib.util.find_spec("pip") else getattr(sys, "_base_executable", sys.executable)
UNHASHED = os.environ.get("INGOT_TORCH_UNHASHED", "") not in ("", "0")
# The converters of llama.cpp are in the source archive only, and belong to exactly the version that is installed.
LLAMA_SOURCES = ("convert_hf_to_gguf.py", "convert_lora_to_gguf.py", "conversion/", "gguf-py/", "LICENSE")


def log(text: str) -> None:
    """Tell a person what is going on; standard output is kept for the answer."""
    print(f"envs: {text}", file=sys.stderr, flush=True)


def call(*command: str | Path, **variables: str) -> None:
    """Run a command quietly; on failure show its output and stop with its message."""
    done = subprocess.run(
        [str(part) for part in command], env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise SystemExit(f"envs: failed: {' '.join(str(part) for part in command[:4])} ...")


def pip_sources() -> dict[str, str]:
    """Return uv's variables for the indexes and find-links that pip is configured with; uv does not read them."""
    done = subprocess.run([PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    settings: dict[str, str] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        settings[key.split(".")[-1].strip(":")] = value.strip("'\"").replace("\\n", " ")
    if "find-links" in settings:
        settings["find-links"] = ",".join(settings["find-links"].split())  # uv separates these by commas
    names = {"find-links": "UV_FIND_LINKS", "index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX"}
    return {uv: settings[pip] for pip, uv in names.items() if pip in settings and uv not in os.environ} | {
        # pip lets any index win; uv stops at the first that knows the name unless told otherwise.
        "UV_INDEX_STRATEGY": "unsafe-best-match"
    }


def pinned_torch(name: str) -> str | None:
    """Return the pin of torch, `torch==VERSION`, which a lock holds in a comment, or None."""
    first, *_ = (HERE / f"{name}.lock").read_text().splitlines()
    return first.split()[1] if first.startswith("# torch==") else None


def folder(name: str) -> Path:
    """Return where the environment of a lock belongs."""
    lock = HERE / f"{name}.lock"
    if not lock.exists():
        raise SystemExit(f"envs: there is no {lock.name}; known: {', '.join(p.stem for p in HERE.glob('*.lock'))}")
    identity = [lock.read_text(), platform.python_version(), platform.machine()]
    if any(line.startswith(SOURCE_ONLY) for line in lock.read_text().splitlines()):
        identity.append(CMAKE_ARGS)
    if UNHASHED and pinned_torch(name):
        identity.append("torch whatever its hash")
    return ROOT / f"{name}-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]}"


def tool_uv() -> Path:
    """Return uv, installed from its own lock."""
    target = folder("uv")
    if not (target / ".complete").exists():
        log("installing uv")
        shutil.rmtree(target, ignore_errors=True)
        call(PYTHON, "-m", "venv", target)
        call(target / "bin/python", "-m", "pip", "install", "-q", "--require-hashes", "-r", HERE / "uv.lock")
        (target / ".complete").touch()
    return target / "bin/uv"


def torch_build(version: str, sources: dict[str, str]) -> tuple[str, bool]:
    """Return (the build of torch that fits this machine, such as `cpu`; whether the configured find-links offer it).

    What is offered wins. Otherwise it is the CUDA build where there is an NVIDIA GPU.
    """
    links = sources.get("UV_FIND_LINKS", os.environ.get("UV_FIND_LINKS", "")).split(",")
    offered = [path for link in links if Path(link).is_dir() for path in Path(link).glob(f"torch-{version}+*.whl")]
    if offered:
        return offered[0].name.split("+")[1].split("-")[0], True
    return "cu130" if Path("/proc/driver/nvidia/version").exists() else "cpu", False


def install_torch(uv: Path, target: Path, requirement: str, sources: dict[str, str]) -> None:
    """Install torch at its pin, in the build that fits this machine, if its hash is in torch.sha256.

    The build differs from machine to machine, which is why the locks have no hash for it.
    """
    install: list[str | Path] = [uv, "pip", "install", "--python", target / "bin/python"]
    if UNHASHED:
        log(f"INGOT_TORCH_UNHASHED is set: {requirement} is installed whatever its hash")
        call(*install, requirement, "--torch-backend=auto", **sources)
        return
    version = requirement.partition("==")[2]
    build, offered = torch_build(version, sources)
    backend = [] if offered else [f"--torch-backend={build}"]
    known = [line.split() for line in (HERE / "torch.sha256").read_text().splitlines() if line[:1] not in ("#", "")]
    hashes = [f"--hash=sha256:{digest}" for digest, name in known if name.startswith(f"torch-{version}+{build}-")]
    with tempfile.TemporaryDirectory() as work:
        hashed = Path(work) / "torch.txt"
        hashed.write_text(" ".join([f"{requirement}+{build}", *hashes]) + "\n")
        try:
            call(*install, "--no-deps", "--require-hashes", "-r", hashed, *backend, **sources)
        except SystemExit as error:
            raise SystemExit(
                f"{error}\nenvs: if it speaks of hashes: envs/torch.sha256 lacks the build of torch that fits this"
                " machine. Add its hash, or set INGOT_TORCH_UNHASHED=1 to trust the index"
            ) from None
    if build != "cpu":  # what only the CUDA build needs, at the versions that it names
        call(*install, f"{requirement}+{build}", *backend, **sources)


def lock_entries(name: str) -> list[str]:
    """Return the lock as one text per pinned package, hashes included."""
    entries: list[str] = []
    for line in (HERE / f"{name}.lock").read_text().splitlines(keepends=True):
        if line[0].isalnum() or not entries:
            entries.append("")
        entries[-1] += line
    return entries


def compile_wheel(pinned: str, kept: Path, uv: Path, sources: dict[str, str]) -> None:
    """Fetch the source archive that a pin names, build its wheel, and put both into the folder `kept`.

    pip runs the backend of an archive that it downloads, to ask for its name. It would install the newest one for that.
    """
    with tempfile.TemporaryDirectory(dir=kept.parent) as work:
        requirement, backend = Path(work) / "requirement.txt", Path(work) / "backend/bin/python"
        requirement.write_text(pinned)
        call(PYTHON, "-m", "venv", backend.parent.parent)
        hashed: list[str | Path] = ["--require-hashes", "-r", HERE / "compile.lock"]
        call(uv, "pip", "install", "-q", "--python", backend, *hashed, **sources)
        pip: list[str | Path] = [backend, "-m", "pip", "-q", "download", "--no-build-isolation"]
        source: list[str | Path] = ["--no-deps", "--no-binary=:all:", "--require-hashes", "-r", requirement]
        call(*pip, *source, "-d", Path(work) / "kept")
        archive = next((Path(work) / "kept").glob("*.tar.gz"))
        build: list[str | Path] = [uv, "build", "--wheel", "--build-constraints", HERE / "compile.lock"]
        build += ["--require-hashes", "--python", PYTHON, "-o", archive.parent, archive]
        call(*build, CMAKE_ARGS=CMAKE_ARGS, **sources)
        (Path(work) / "kept").rename(kept)


def compiled_wheel(package: str, pinned: str, uv: Path, sources: dict[str, str]) -> tuple[Path, Path]:
    """Return (wheel, source archive) of a package that is published as source only, compiled once per kind of machine.

    It is built with what compile.lock pins. Both are kept in the user's cache, so that neither another clone nor an
    edited lock compiles them again.
    """
    # Without the comments, which say who wants it and differ from lock to lock.
    pinned = "".join(line for line in pinned.splitlines(keepends=True) if not line.lstrip().startswith("#"))
    identity = [pinned, (HERE / "compile.lock").read_text(), platform.python_version(), platform.machine(), CMAKE_ARGS]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ingot/wheels"
    kept = cache / f"{package}-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]}"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with open(cache / f".{kept.name}.lock", "w") as lock:
            # Compiling takes all cores: who comes second waits.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                log(f"compiling {package} (some minutes, once on this machine)")
                compile_wheel(pinned, kept, uv, sources)
    return next(kept.glob("*.whl")), next(kept.glob("*.tar.gz"))


def unpack_llama_sources(archive: Path, target: Path) -> None:
    """Put llama.cpp's converters from the source archive into share/llama.cpp of the environment."""
    with tarfile.open(archive) as tar:
        for member in tar:
            inside = member.name.partition("/vendor/llama.cpp/")[2]
            if inside.startswith(LLAMA_SOURCES) and (member.isfile() or member.isdir()):
                member.name = inside
                tar.extract(member, target / "share/llama.cpp", filter="data")


def install(name: str, uv: Path, target: Path) -> None:
    """Fill a new environment with what its lock, and its torch pin, name."""
    sources = pip_sources()
    python = target / "bin/python"
    compiled = [entry for entry in lock_entries(name) if entry.startswith(SOURCE_ONLY)]
    listed = target / "requirements.txt"
    listed.write_text("".join(entry for entry in lock_entries(name) if entry not in compiled))
    call(uv, "pip", "sync", "--require-hashes", "--python", python, listed, **sources)
    if torch := pinned_torch(name):
        install_torch(uv, target, torch, sources)
    for entry in compiled:
        package = entry.partition("==")[0]
        wheel, archive = compiled_wheel(package, entry, uv, sources)
        call(uv, "pip", "install", "--no-deps", "--python", python, wheel)
        if package == "llama-cpp-python":
            unpack_llama_sources(archive, target)
    # Every job starts a process: where Python may not or cannot write what it compiles, each would compile it again.
    # Some packages hold sources for other versions of Python, which cannot be compiled: that is no failure.
    compileall: list[str | Path] = [python, "-m", "compileall", "-q", "-j", "0", target / "lib"]
    subprocess.run(compileall, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def build(name: str) -> Path:
    """Return the folder of an environment, building it if it is not there."""
    target = folder(name)
    if (target / ".complete").exists():
        return target
    ROOT.mkdir(parents=True, exist_ok=True)
    with open(ROOT / f".{target.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (target / ".complete").exists():
            return target
        with open(ROOT / ".uv.lock", "w") as uv_lock:
            fcntl.flock(uv_lock, fcntl.LOCK_EX)
            uv = tool_uv()
        log(f"building {target.name} (once)")
        shutil.rmtree(target, ignore_errors=True)
        call(uv, "venv", "--python", PYTHON, target)
        install(name, uv, target)
        (target / ".complete").touch()
    return target


def main() -> None:
    """Build every environment named on the command line and print the folders, one a line."""
    if sys.version_info < (3, 11):  # noqa: UP036  (a newcomer may start this with an older one)
        raise SystemExit(f"envs: Python 3.11 or newer is needed; this is {platform.python_version()}")
    if not sys.argv[1:]:
        raise SystemExit(__doc__)
    for name in sys.argv[1:]:
        print(build(Path(name).stem))


if __name__ == "__main__":
    main()
