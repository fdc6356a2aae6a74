"""Folders in which somebody builds: clones of this repository with the micro preset."""

import shutil
import subprocess
from pathlib import Path

import projects
from projects import Project

ROOT = Path(__file__).resolve().parents[2]
SECRET = "hf_" + "ingotsecretvalue" + "0123456789"  # in parts: this file itself is in every clone
# A clone has its own code, and whoever types `make` in it is not inside another `make`.
NOT_HANDED_ON = {"PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
ENVIRONMENT = {
    **{name: value for name, value in projects.ENVIRONMENT.items() if name not in NOT_HANDED_ON},
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


class Workspace(Project):
    """A folder in which somebody builds with Ingot."""

    environment = ENVIRONMENT

    def git(self, *arguments):
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        return self.call("git", *identity, *arguments)

    def sources(self):
        """What stands for the committed files of this workspace."""
        return self.git("rev-parse", "HEAD^{tree}").strip()

    def set(self, settings):
        """Lay a line of YAML over the preset."""
        self.append("config.yaml", f"{settings}\n")

    def unset(self, settings):
        """Take back what `set` laid over the preset."""
        self.edit("config.yaml", f"{settings}\n", "")


def clone_of(source, folder):
    """A git clone of a repository; what git ignores does not come along."""
    subprocess.run(["git", "clone", "-q", str(source), str(folder)], check=True)
    return Workspace(folder)
