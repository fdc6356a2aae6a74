"""Folders in which somebody builds: clones of this repository with the micro preset."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import yaml

ROOT = Path(__file__).resolve().parents[2]
SECRET = "hf_" + "ingotsecretvalue" + "0123456789"  # in parts: this file itself is in every clone
ENVIRONMENT = {
    # Builds in a workspace take as many threads as their rules say.
    **{name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")},
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "INGOT_VENVS": str(ROOT / ".venvs"),
    "HF_TOKEN": SECRET,
    "OPENAI_API_KEY": SECRET,
}


def copy_project(folder):
    """Copy the files of this project as they are now, without what git ignores, into a new folder."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        names = listed.stdout.splitlines()
    else:  # an archive, without git
        ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()} | {"cache", "tmp"}
        paths = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
        names = [str(path) for path in paths if not ignored.intersection(path.parts)]
    for name in names:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


class Workspace:
    """A folder in which somebody builds."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def __truediv__(self, name):
        return self.folder / name

    def call(self, *command, check=True, **variables):
        """Run a command here; return what it said, both streams in one."""
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            env=ENVIRONMENT | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout
        return done.stdout

    def git(self, *arguments):
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        return self.call("git", *identity, *arguments)

    def snakemake(self, *arguments, check=True, **variables):
        return self.call("snakemake", "--cores", "2", *arguments, check=check, **variables)

    def dvc(self, *arguments, check=True):
        return self.call("dvc", *arguments, check=check)

    def sources(self):
        """What stands for the committed files of this workspace."""
        return self.git("rev-parse", "HEAD^{tree}").strip()

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

    def set(self, settings):
        """Lay a line of YAML over the preset."""
        self.append("config.yaml", f"{settings}\n")

    def unset(self, settings):
        """Take back what `set` laid over the preset."""
        self.edit("config.yaml", f"{settings}\n", "")

    def append(self, name, text):
        with open(self.folder / name, "a") as file:
            file.write(text)


def clone_of(source, folder):
    """A git clone of a repository; what git ignores does not come along."""
    subprocess.run(["git", "clone", "-q", str(source), str(folder)], check=True)
    return Workspace(folder)
