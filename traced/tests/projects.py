"""Folders in which somebody builds, for the tests of the layer. Ingot's own tests build on them."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import yaml

import preloaded
import traced

LAYER = Path(traced.__file__).resolve().parents[1]
ENVIRONMENT = {
    # Builds take as many threads as their rules say.
    **{name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")},
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "PYTHONPATH": str(LAYER),
}


class Project:
    """A folder in which somebody builds."""

    environment = ENVIRONMENT

    def __init__(self, folder):
        self.folder = Path(folder)

    def __truediv__(self, name):
        return self.folder / name

    def call(self, *command, check=True, **variables):
        """Run a command here; return what it said, both streams in one."""
        command, environment = [str(word) for word in command], self.environment | variables
        if preloaded.can_run(command, environment):
            status, said = preloaded.run(command, self.folder, environment)
        else:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            status, said = done.returncode, done.stdout
        assert not check or status == 0, said
        return said

    def snakemake(self, *arguments, check=True, **variables):
        return self.call("snakemake", "--cores", "2", *arguments, check=check, **variables)

    def dvc(self, *arguments, check=True):
        return self.call("dvc", *arguments, check=check)

    def outs(self):
        """{path: digest} of all artifacts, as dvc.lock has them."""
        stages = yaml.safe_load((self.folder / "dvc.lock").read_text())["stages"]
        return {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}

    def nothing_to_do(self, *arguments):
        """Whether a dry run says that there is nothing to do, not even to restore."""
        said = self.snakemake("--dry-run", *arguments)
        return "Nothing to be done" in said and "would be restored" not in said

    def logs(self):
        return {path.stem: path.stat().st_mtime_ns for path in self.folder.glob("logs/*.log")}

    def build(self, *arguments, check=True, **variables):
        """Run Snakemake; return the steps that computed, seen by their logs, and what was said."""
        before = self.logs()
        said = self.snakemake(*arguments, check=check, **variables)
        return {name for name, time in self.logs().items() if before.get(name) != time}, said

    def processes(self, word):
        """The processes in this folder that have a word in their command."""
        listed = psutil.process_iter(["cmdline", "cwd"])
        return [one for one in listed if one.info["cwd"] == str(self.folder) and word in (one.info["cmdline"] or [])]

    def edit(self, name, old, new):
        path = self.folder / name
        text = path.read_text()
        assert old in text, f"{name} does not hold {old!r}"
        path.write_text(text.replace(old, new))

    def append(self, name, text):
        with open(self.folder / name, "a") as file:
            file.write(text)
