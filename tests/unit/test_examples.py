"""The examples: their configurations can be planned, and those that are small are built."""

import json
import shutil
import subprocess
import sys

import pytest
import yaml

from helpers.workspaces import ROOT, Workspace, copy_project
from ingot.settings.load import load

pytestmark = pytest.mark.graph

EXAMPLES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/config.yaml"))


@pytest.fixture
def workspace(tmp_path):
    """What a clone holds."""
    copy_project(tmp_path / "ingot")
    return Workspace(tmp_path / "ingot")


def configfile(name):
    """The arguments that the README of an example gives to snakemake."""
    command = f"snakemake --cores 2 --configfile examples/{name}/config.yaml"
    assert f"\n{command}\n" in (ROOT / f"examples/{name}/README.md").read_text()
    return command.split()[3:]


def read(path):
    return json.loads(path.read_text())


def test_there_are_some():
    assert len(EXAMPLES) >= 4
    overview = (ROOT / "examples/README.md").read_text()
    assert [name for name in EXAMPLES if f"]({name}/)" not in overview] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_can_be_planned(name, workspace):
    workspace.snakemake("--dry-run", *configfile(name))


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_says_only_what_differs_from_its_preset(name):
    """A value that the preset has already would mislead: it looks like a choice."""
    given = yaml.safe_load((ROOT / f"examples/{name}/config.yaml").read_text())
    usual = load({"preset": given["preset"]}, ROOT).model_dump() if given["preset"] == "tiny" else None

    def same(value, preset, key):
        if isinstance(value, dict) and isinstance(preset, dict):
            return [line for name in value for line in same(value[name], preset.get(name), f"{key}.{name}")]
        return [key] if value == preset else []

    if usual:
        del given["preset"]
        assert same(given, usual, "") == []


def test_the_made_up_records_are_what_their_script_writes(workspace):
    folder = workspace / "examples/own-data-tiny-base"
    before = (folder / "conversions.jsonl").read_bytes()
    subprocess.run([sys.executable, "write_records.py"], cwd=folder, check=True)
    assert (folder / "conversions.jsonl").read_bytes() == before


def test_a_judge_scores_judges_and_compares(workspace):
    planned = workspace.snakemake("--dry-run", *configfile("everything-with-a-judge"))
    for step in ("score", "judge_round", "compare"):
        assert f"\n{step} " in planned, planned


@pytest.mark.slow
def test_own_data_on_a_tiny_base_is_built(workspace):
    (workspace / "one.yaml").write_text("threads: 1\n")  # other tests run beside it
    workspace.snakemake(*configfile("own-data-tiny-base"), "one.yaml")
    manifest = read(workspace / "results/release/manifest.json")
    assert manifest["sources"]["conversions"]["licence"] == "CC0-1.0"
    tokenizer = ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]
    files = ["files/packed/Q8_0.gguf.zst", "files/curation.html", *(f"files/tokenizer/{name}" for name in tokenizer)]
    assert [file["path"] for file in manifest["files"]] == files
    shares = {
        row["model"]: row["exact_match"]["all"] for row in read(workspace / "results/release/figures.json")["measured"]
    }
    assert shares["adapter"]["low"] > shares["base"]["high"], "it learns the data"


def test_an_own_checkpoint_is_quantised_as_it_is_without_any_data(workspace, checkpoint):
    """Converted, quantised, packed, measured on the benchmark, gated."""
    shutil.copytree(checkpoint, workspace / "models/mine")
    limits = {
        "gguf": dict.fromkeys(
            ("max_perplexity_ratio", "min_top1_agreement", "max_kl", "max_unstopped", "max_more_unstopped")
        )
    }
    changes = {"gates": limits, "measure": {"longest": 8}}  # it only babbles
    (workspace / "untrained.yaml").write_text(yaml.safe_dump(changes))
    workspace.snakemake(*configfile("own-checkpoint-quantised"), "untrained.yaml")
    manifest = read(workspace / "results/release/manifest.json")
    assert manifest["chain"] == []
    tokenizer = ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]
    files = ["files/packed/Q4_K_M.gguf.zst", *(f"files/tokenizer/{name}" for name in tokenizer)]
    assert [file["path"] for file in manifest["files"]] == files
    assert manifest["serving"]["model"] == files[0]
    assert manifest["serving"]["router"] is None
    assert manifest["gates"] == ["F16", "Q4_K_M"]
    ledger = {row["artifact"]: row for row in read(workspace / "results/release/ledger.json")}
    assert ledger["Q4_K_M"]["bytes"] < ledger["F16"]["bytes"]
    assert list(ledger) == ["base", "F16", "Q4_K_M", "F16.zst", "Q4_K_M.zst"]
    release = read(workspace / "results/release/figures.json")
    assert [stage["stage"] for stage in release["stages"]] == ["base", "Q4_K_M"]
    assert release["measured"][1]["parent"] == "base"
    assert release["measured"][1]["top1_agreement"] > 0.97
    card = (workspace / "results/release/MODEL_CARD.md").read_text()
    assert "No data stage" in card and "without an importance matrix" in card
    assert not (workspace / "results/data/train.jsonl").exists()


@pytest.mark.slow
def test_an_adapter_with_one_modifier_is_built(workspace):
    workspace.snakemake(*configfile("adapter-and-one-modifier"))
    system = read(workspace / "results/measured/system.json")
    assert list(system["modifiers"]) == ["code"]
    assert system["system"]["share"] > system["base"]["share"]
