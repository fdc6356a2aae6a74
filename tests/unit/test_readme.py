"""Every command of the README is run: those of the two-command promise by make itself, the others here."""

import os
import re
import shutil
import subprocess

import pytest
import yaml

from helpers.workspaces import ROOT, copy_project
from ingot.settings.load import load
from ingot.workflow.build import problems

pytestmark = pytest.mark.graph

README = (ROOT / "README.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A copy of what a clone holds, with this Python's snakemake first on the path."""
    folder = tmp_path_factory.mktemp("clone") / "ingot"
    copy_project(folder)
    return folder


def run(command, workspace):
    """Run a command of the README as its reader does: in bash, after the line that sets the path."""
    environment = {**os.environ, "INGOT_VENVS": str(ROOT / ".venvs"), "BROWSER": "true"}
    line = f"source ./activate > /dev/null && {command}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=workspace, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def pack_a_file(workspace):
    """Put a packed file where the README has one; return the file and what it unpacks to."""
    from ingot.io.container import pack_file

    model = workspace / "results/packed/IQ4_XS.gguf"
    model.parent.mkdir(parents=True, exist_ok=True)
    model.write_bytes(os.urandom(1000))
    pack_file(model, model.with_name(f"{model.name}.zst"), 3, 1)
    content = model.read_bytes()
    model.unlink()
    return model, content


SIGNING = ("ingot sign", "ingot verify")


def test_a_release_is_signed_and_verified_as_the_readme_says(built_workspace, tmp_path):
    shutil.copytree(built_workspace.folder, tmp_path / "ingot", symlinks=True)
    commands = [command for command in COMMANDS if command.startswith(SIGNING)]
    assert len(commands) == 2
    for command in commands:
        run(command.replace("~", str(tmp_path)), tmp_path / "ingot")


@pytest.mark.parametrize("command", [command for command in COMMANDS if not command.startswith(SIGNING)])
def test_every_command_works_in_a_clone(command, workspace):
    if "unpack" in command:
        model, content = pack_a_file(workspace)
        run(command, workspace)
        assert model.read_bytes() == content
        shutil.rmtree(workspace / "results")
    elif "preview" in command:
        path = workspace / "results/data/filtered.rejected.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        run(command, workspace)
        assert (workspace / "results/preview.html").exists()
        shutil.rmtree(workspace / "results")
    elif command == "dvc pull":
        pull_into_a_clone(workspace)
    elif command.startswith(("make", "snakemake")):
        # `make test` runs this very test, and `make` what tests/micro runs
        run(command if "--dry-run" in command else f"{command} --dry-run", workspace)
    else:
        run(command, workspace)


def pull_into_a_clone(workspace):
    """`dvc pull`, where somebody has pushed an artifact to the remote of the clone."""
    shelf, clone = workspace.parent / "shelf", workspace.parent / "pulled"
    shutil.copytree(workspace, clone, symlinks=True)
    stage = "dvc stage add -q -n made -o results/made.txt 'mkdir -p results; echo made > results/made.txt'"
    made = f"rm -rf .git dvc.yaml dvc.lock; git init -q; {stage}; dvc repro -q"
    run(f"{made}; dvc remote add -q -d shelf {shelf}; dvc push -q; rm -rf results .dvc/cache", clone)
    run("dvc pull", clone)
    assert (clone / "results/made.txt").read_text() == "made\n"


def test_the_readme_has_the_two_commands():
    assert COMMANDS[:2] == ["make", "make test"]


PAGES = [README, *(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))]
CONFIGURATIONS = [block for page in PAGES for block in re.findall(r"```yaml\n(preset:.*?)```", page, re.DOTALL)]


@pytest.mark.parametrize("block", CONFIGURATIONS)
def test_every_configuration_in_the_readme_and_in_docs_is_valid(block):
    load(yaml.safe_load(block), ROOT, problems)


def test_every_linked_page_exists():
    pages = re.findall(r"\]\((docs/[^)#]+)\)", README)
    assert pages
    assert [page for page in pages if not (ROOT / page).exists()] == []


def test_own_data_of_several_shapes_can_be_planned(workspace):
    """The example of "Your own data", with real files of the user's."""
    (workspace / "my").mkdir()
    import gzip

    (workspace / "my/instructions.jsonl.gz").write_bytes(gzip.compress(b'{"prompt": "Q", "completion": "A"}\n'))
    (workspace / "my/word_problems.csv").write_text("problem,solution\nQ,A\n")
    (workspace / "my/held_out.jsonl").write_text('{"instruction": "Q", "response": "A"}\n')
    example = next(block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "sources" in block)
    before = (workspace / "config.yaml").read_text()
    (workspace / "config.yaml").write_text(example)
    try:
        done = run("snakemake --dry-run --cores 1 results/data/train.jsonl", workspace)
        assert re.search(r"^read_benchmarks +1$", done.stdout, re.MULTILINE)
    finally:
        (workspace / "config.yaml").write_text(before)
