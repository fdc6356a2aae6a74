"""`source ./activate`: what it puts on the path, and takes off again, in the shells that people have."""

import os
import shutil
import subprocess
import sys

import pytest

from helpers.workspaces import ROOT

SHELLS = [
    pytest.param(shell, marks=pytest.mark.skipif(not shutil.which(shell), reason=f"there is no {shell} here"))
    for shell in ("bash", "dash", "zsh")
]
NAMED = [shell for shell in SHELLS if "dash" not in shell.values]
"""Shells that tell a file where it is."""


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose path has a space, with commands that say who they are in place of the environment."""
    folder = tmp_path / "my models/ingot"
    for name in ("activate", "bin/ingot"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    for name in ("snakemake", "dvc"):
        (folder / "bin" / name).symlink_to("ingot")
    environment = folder / ".venvs/workflow"
    (environment / "bin").mkdir(parents=True)
    for name in ("snakemake", "dvc", "python"):
        (environment / "bin" / name).write_text(f'#!/bin/sh\necho "{name} $*"\n')
        (environment / "bin" / name).chmod(0o755)
    (folder / "envs").mkdir()
    build = f"import sys\nsys.stderr.write('built\\n')\nprint({str(environment)!r})\n"
    (folder / "envs/build.py").write_text(build)
    return folder


def run(shell, script, folder, flags="-eu"):
    """What a script says, line by line; it must end well, also where unset variables and failures are errors."""
    variables = {"PATH": f"{os.path.dirname(sys.executable)}:/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)}
    command = [shell, *(["-f"] if shell == "zsh" else []), flags, "-c", script]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", SHELLS)
def test_the_commands_are_on_the_path_and_run_in_the_environment(shell, checkout):
    said = run(shell, '. ./activate; snakemake -n "a b"; dvc status; ingot why', checkout)
    assert said[0].startswith("ingot: snakemake, dvc and ingot are on the path")
    assert said[1:] == ["snakemake -n a b", "dvc status", "python -P -m ingot.cli why"]


@pytest.mark.parametrize("shell", SHELLS)
def test_sourcing_twice_does_not_grow_the_path(shell, checkout):
    _, once, _, twice = run(shell, '. ./activate; echo "$PATH"; . ./activate; echo "$PATH"', checkout)
    assert once == twice
    assert once.startswith(f"{checkout}/bin:")


@pytest.mark.parametrize("shell", SHELLS)
def test_ingot_deactivate_restores_the_path(shell, checkout):
    script = 'echo "$PATH"; . ./activate; ingot_deactivate; echo "$PATH"; command -v ingot_deactivate || echo gone'
    before, _, after, function = run(shell, script, checkout)
    assert before == after
    assert function == "gone"


@pytest.mark.parametrize("shell", SHELLS)
def test_what_was_put_on_the_path_meanwhile_stays(shell, checkout):
    script = 'before=$PATH; . ./activate; PATH="/first:$PATH:/last"; ingot_deactivate; echo "$before"; echo "$PATH"'
    _, before, after = run(shell, script, checkout)
    assert after == f"/first:{before}:/last"


@pytest.mark.parametrize("shell", NAMED)
def test_it_works_from_another_folder(shell, checkout, tmp_path):
    said = run(shell, '. "my models/ingot/activate"; snakemake', tmp_path)
    assert said[-1] == "snakemake "


@pytest.mark.parametrize("shell", NAMED)
def test_another_checkout_takes_the_place_of_the_first(shell, checkout, tmp_path):
    shutil.copytree(checkout, tmp_path / "other", symlinks=True)
    said = run(shell, '. "my models/ingot/activate"; . ./other/activate; echo "$PATH"', tmp_path)
    assert said[-1].startswith(f"{tmp_path}/other/bin:")
    assert str(checkout) not in said[-1]


@pytest.mark.skipif(not shutil.which("dash"), reason="there is no dash here")
def test_a_shell_that_does_not_say_where_the_file_is_says_what_to_do(checkout, tmp_path):
    script = '. "my models/ingot/activate" || echo "status $?"; echo "$PATH"'
    status, path = run("dash", script, tmp_path, "-u")
    assert status == "status 1"
    assert str(checkout) not in path


@pytest.mark.parametrize("shell", SHELLS)
def test_an_environment_that_cannot_be_built_leaves_the_path_alone(shell, checkout):
    (checkout / "envs/build.py").write_text("raise SystemExit('envs: failed')\n")
    script = 'echo "$PATH"; . ./activate || echo "status $?"; echo "$PATH"'
    before, status, after = run(shell, script, checkout, "-u")
    assert status == "status 1"
    assert before == after


@pytest.mark.graph
def test_the_real_commands_answer():
    said = run("bash", ". ./activate 2> /dev/null; ingot --version; snakemake --version; dvc --version", ROOT)
    assert said[1].startswith("ingot ")
    assert said[2].startswith("9.")
    assert said[3].startswith("3.")
