"""Check a real run before its first job, so that nothing is computed for a build that cannot end."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ingot.errors import InputError
from ingot.settings.everything import Settings
from ingot.workflow.environments import python_of
from ingot.workflow.machine import check_before_build


def check_backend(settings: Settings) -> None:
    """Raise InputError if unsloth shall train the adapter and this machine has no GPU."""
    if "adapt" in settings.chain and settings.adapt.backend == "unsloth" and not shutil.which("nvidia-smi"):
        raise InputError(
            "adapt.backend: unsloth needs a GPU, and this machine has none (no nvidia-smi); set it to trl, or run with"
            " a cluster profile"
        )


def check_base(settings: Settings, root: Path) -> None:
    """Raise InputError if the folder of the base is missing, or if the hub does not give the base."""
    base = settings.base
    if base.kind in ("local", "tokenizer") and not Path(base.model or "").is_dir():
        raise InputError(f"base.model: {base.model}: no such folder")
    if base.kind == "gguf" and base.model and not Path(base.model).is_file():
        raise InputError(f"base.model: {base.model}: no such file")
    if base.kind == "hub":
        environment = {**os.environ, "PYTHONPATH": str(root)}
        command: list[str | Path] = [
            python_of("ml", root),
            "-m",
            "workflow_scripts.base.fetch",
            str(base.model),
            str(base.revision),
        ]
        fetched = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if fetched.returncode:
            raise InputError((fetched.stderr.strip() or "the hub could not be asked").splitlines()[-1])


def build_environments(locks: set[str], root: Path) -> None:
    """Build the environments of these lock files. Raises InputError if one cannot be built."""
    command: list[str | Path] = [sys.executable, root / "envs/build.py", *sorted(locks)]
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
        raise InputError("an environment cannot be built; see above")


def check(settings: Settings, root: Path, here: bool, promised: dict[str, int]) -> None:
    """Run all checks. `here` is False if the jobs run on other machines than this one.

    `promised` is the most that one of the jobs is promised: {"memory_mb", "gpu": number}.
    """
    if here:
        most = settings.resources.model_copy(update=promised)
        check_before_build(settings.model_copy(update={"resources": most}), root)
        check_backend(settings)
    if not Path("results/base").exists():
        check_base(settings, root)
