"""The command `ingot`."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from helpers.records import make_record
from helpers.workspaces import ROOT
from ingot import cli
from ingot.errors import InputError
from ingot.io.container import pack_file
from ingot.io.records import write_records
from ingot.settings.load import load


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working folder with the presets, and a configuration."""
    (tmp_path / "presets").symlink_to(ROOT / "presets")
    (tmp_path / "suites").symlink_to(ROOT / "suites")
    (tmp_path / "config.yaml").write_text("preset: tiny\nseed: 7\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    for command in ("why", "preview", "unpack", "settings"):
        assert f"    {command} " in said


def test_the_version_is_the_one_of_the_package(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"ingot {cli.VERSION}\n"


def test_without_a_command_it_says_how_it_is_used(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([])
    assert stop.value.code == 2
    assert "usage: ingot" in capsys.readouterr().err


def test_it_starts_without_what_only_some_commands_need():
    program = "import sys, ingot.cli; print([n for n in ('snakemake', 'yaml', 'pydantic') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_settings_are_complete_and_can_be_read_again(project, capsys):
    assert cli.main(["settings"]) == 0
    given = yaml.safe_load(capsys.readouterr().out)
    assert given["seed"] == 7
    assert given["adapt"]["training"]["rank"] == 16
    assert load(given, ROOT) == load({"preset": "tiny", "seed": 7}, ROOT)


def test_settings_of_another_file_are_laid_over_it_as_snakemake_does(project, capsys):
    (project / "more.yaml").write_text("threads: 3\nmerge: {dtype: bfloat16}\n")
    assert cli.main(["settings", "--configfile", "more.yaml"]) == 0
    given = yaml.safe_load(capsys.readouterr().out)
    assert (given["seed"], given["threads"], given["merge"]) == (7, 3, {"dtype": "bfloat16"})


def test_a_mistake_in_the_configuration_is_said_in_one_message(project, capsys):
    (project / "config.yaml").write_text("preset: tiny\nsead: 7\n")
    assert cli.main(["settings"]) == 1
    assert "sead" in capsys.readouterr().err


def test_why_needs_a_snakefile(project, capsys):
    assert cli.main(["why"]) == 1
    assert "no Snakefile here" in capsys.readouterr().err


@pytest.mark.graph
def test_why_answers_for_a_target():
    command = [ROOT / "bin/ingot", "why", "--json", "results/tokenizer"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "train_tokenizer" in [row["step"] for row in json.loads(done.stdout)]


@pytest.mark.graph
def test_preview_and_unpack_run_in_the_data_environment(project):
    """By the launcher, from a folder that is not the checkout."""
    (project / "results/data").mkdir(parents=True)
    write_records(project / "results/data/balanced.jsonl", [make_record("Q", "A", tokens=2)])
    (project / "model").write_bytes(b"model")
    pack_file(project / "model", project / "copy.zst", 3, 1)
    variables = {**os.environ, "BROWSER": "true"}  # a program that does nothing
    for command, said in ((["preview", "balanced"], "results/preview.html"), (["unpack", "copy.zst"], "copy")):
        done = subprocess.run(
            [ROOT / "bin/ingot", *command], cwd=project, env=variables, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout.strip()) == (0, said), done.stderr
    assert (project / "copy").read_bytes() == b"model"


def test_it_says_where_it_must_run_if_it_was_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "CHECKOUT", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="in the folder of the project"):
        cli.project()
    monkeypatch.chdir(ROOT)
    assert cli.project() == ROOT
