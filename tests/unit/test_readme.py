"""Every command of the README is run: those of the two-command promise by make itself, the others here."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers.workspaces import ROOT, copy_project
from ingot.workflow.config import load

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
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "INGOT_VENVS": str(ROOT / ".venvs")}
    done = subprocess.run(
        command, shell=True, cwd=workspace, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_works_in_a_clone(command, workspace):
    if "unpack" in command:
        from ingot.io.container import pack_file

        model = workspace / "results/packed/IQ4_XS.gguf"
        model.parent.mkdir(parents=True, exist_ok=True)
        model.write_bytes(os.urandom(1000))
        pack_file(model, model.with_name(f"{model.name}.zst"), 3, 1)
        expected = model.read_bytes()
        model.unlink()
        run(command, workspace)
        assert model.read_bytes() == expected
        shutil.rmtree(workspace / "results")
    elif command.startswith("make"):
        run(f"{command} --dry-run", workspace)  # `make test` runs this very test, and `make` what tests/micro runs
    else:
        run(command if "--dry-run" in command else f"{command} --dry-run", workspace)


def test_the_readme_has_the_two_commands():
    assert COMMANDS[:2] == ["make", "make test"]


PAGES = [README, *(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))]
CONFIGURATIONS = [block for page in PAGES for block in re.findall(r"```yaml\n(preset:.*?)```", page, re.DOTALL)]


@pytest.mark.parametrize("block", CONFIGURATIONS)
def test_every_configuration_in_the_readme_and_in_docs_is_valid(block):
    load(yaml.safe_load(block), ROOT)


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
