"""The layer as a package of its own: installed from its folder, beside the pinned and the newest Snakemake."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from projects import LAYER

pytestmark = [pytest.mark.graph, pytest.mark.slow]


def run(*command, cwd, **variables):
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("snakemake", ["snakemake==9.27.1", "snakemake"], ids=["pinned", "newest"])
def test_it_is_installed_from_its_folder_and_its_tests_pass_there(snakemake, tmp_path):
    source = tmp_path / "source/traced"
    shutil.copytree(LAYER / "traced", source, ignore=shutil.ignore_patterns("__pycache__"))
    tests = source.rename(tmp_path / "given") / "tests"
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "install", "-q", f"{tests.parent}[test]", snakemake, cwd=tmp_path)
    where = run(python, "-c", "import traced; print(traced.__file__, traced.VERSION)", cwd=tmp_path)
    assert str(tmp_path / "venv") in where
    modules = {path.name for path in Path(where.split()[0]).parent.iterdir()}
    assert "engine.py" in modules and "tests" not in modules
    said = run(
        python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", tests.parent / "pyproject.toml", tests,
        "-m", "not slow", cwd=tmp_path,
    )  # fmt: skip
    assert " passed" in said and "failed" not in said
