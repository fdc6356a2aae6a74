"""Build llama-server from the source archive that our llama.cpp is of, once: `python bench/llama_server.py` prints it.

It is the rival in bench_serving.py, and the oracle of the tests of engines. Takes some ten minutes.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "envs")]
PINNED = "llama-cpp-python=="
OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "OFF",
    "GGML_NATIVE": "OFF",  # as our own llama.cpp
    "LLAMA_BUILD_SERVER": "ON",
    "LLAMA_BUILD_TOOLS": "ON",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
    "LLAMA_OPENSSL": "OFF",
    "LLAMA_CURL": "OFF",
}


def place() -> tuple[Path, str]:
    """Return (where the program belongs, the pin of llama-cpp-python that it is built from)."""
    import build as environments

    pinned = next(entry for entry in environments.lock_entries("serve") if entry.startswith(PINNED))
    version = pinned.split()[0]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ingot/llama-server"
    return cache / hashlib.sha256(json.dumps([version, OPTIONS]).encode()).hexdigest()[:12] / "llama-server", pinned


def build() -> Path:
    """Build the program if it is not there; return where it is."""
    import build as environments

    program, pinned = place()
    if program.exists():
        return program
    uv, sources = environments.tool_uv(), environments.pip_sources()
    _, archive = environments.compiled_wheel(PINNED.rstrip("="), pinned, uv, sources)
    with tempfile.TemporaryDirectory() as work:
        tools = Path(work) / "tools"
        environments.call(uv, "venv", "--python", environments.PYTHON, tools)
        lock = ROOT / "envs/compile.lock"
        python = tools / "bin/python"
        environments.call(uv, "pip", "sync", "--require-hashes", "--python", python, lock, **sources)
        with tarfile.open(archive) as tar:
            tar.extractall(work, filter="data")
        source = next(Path(work).glob("*/vendor/llama.cpp"))
        path = {"PATH": f"{tools / 'bin'}:{os.environ['PATH']}"}
        given = [f"-D{key}={value}" for key, value in OPTIONS.items()]
        environments.call(tools / "bin/cmake", "-S", source, "-B", f"{work}/built", "-G", "Ninja", *given, **path)
        environments.call(tools / "bin/ninja", "-C", f"{work}/built", "llama-server", **path)
        program.parent.mkdir(parents=True, exist_ok=True)
        partial = program.with_name(f".{program.name}.{os.getpid()}")
        shutil.copy2(Path(work) / "built/bin/llama-server", partial)
        partial.rename(program)
    return program


if __name__ == "__main__":
    try:
        print(build())
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"llama-server cannot be built: {error}") from None
