"""The package: what a wheel of this tree holds."""

import subprocess
import sys
import zipfile

import pytest

from helpers.workspaces import ROOT, copy_project
from ingot import cli

pytestmark = pytest.mark.graph  # it takes seconds, and is not for the unit tests

BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of the files that a clone holds, built without network by the locked setuptools."""
    folder = tmp_path_factory.mktemp("wheel")
    copy_project(folder / "tree")
    done = subprocess.run(
        [sys.executable, "-c", BUILD, folder], cwd=folder / "tree", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.splitlines()[-1]


def test_it_has_the_library_the_trace_layer_and_the_templates(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    templates = (ROOT / "ingot/pages/templates").rglob("*")
    tree = {str(path.relative_to(ROOT)) for path in templates if path.is_file()}
    tree |= {str(path.relative_to(ROOT)) for pattern in ("ingot/**/*.py", "traced/*.py") for path in ROOT.glob(pattern)}
    assert tree <= names
    assert not [name for name in names if "/tests/" in name]
    assert "ingot/pages/templates/card.md" in names


def test_it_has_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"ingot", "traced", f"ingot-{cli.VERSION}.dist-info"}


def test_it_says_what_it_is(wheel):
    with zipfile.ZipFile(wheel) as archive:
        about = archive.read(f"ingot-{cli.VERSION}.dist-info/METADATA").decode()
        commands = archive.read(f"ingot-{cli.VERSION}.dist-info/entry_points.txt").decode()
        licence = archive.read(f"ingot-{cli.VERSION}.dist-info/licenses/LICENSE").decode()
    assert "License-Expression: Apache-2.0" in about
    assert "Requires-Python: >=3.11" in about
    assert "Requires-Dist: snakemake==" in about
    assert "ingot = ingot.cli:main" in commands
    assert "Apache License" in licence
