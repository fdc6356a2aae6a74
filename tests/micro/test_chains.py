"""The chain is configuration: builds of other chains than the whole one, each through the real rules.

The empty chain is an example: tests/unit/test_examples.py.
"""

import json
import shutil

import pytest

from helpers.workspaces import clone_of

pytestmark = pytest.mark.graph


@pytest.fixture
def chained(start, built_workspace, tmp_path):
    """A function that builds a configuration in a clone that knows the traces of the whole micro build."""

    def build(settings, *targets):
        workspace = clone_of(start.folder, tmp_path / "ingot")
        shutil.copytree(built_workspace / ".dvc/cache", workspace / ".dvc/cache", symlinks=True)
        workspace.set(settings)
        said = workspace.snakemake(*targets)
        assert workspace.nothing_to_do(*targets)
        return workspace, said

    return build


def read(workspace, name):
    return json.loads((workspace / "results" / name).read_text())


@pytest.mark.slow
def test_an_adapter_and_a_file(chained):
    """ "My data, an adapter, a GGUF file": nothing is pruned, and no modifier is trained."""
    one_file = "gguf: {types: [F16], serve: F16}\nask_suite: {models: [merged]}"
    workspace, said = chained(f"chain: [adapt, merge]\nmodifiers: null\n{one_file}")
    assert "rule prune" not in said
    release = read(workspace, "release/figures.json")
    assert release["manifest"]["gates"] == ["adapter", "merged", "F16"]
    parents = {row["model"]: row["parent"] for row in release["measured"]}
    assert parents == {"base": None, "adapter": "base", "merged": "adapter", "F16": "merged"}
    assert [stage["stage"] for stage in release["stages"]] == ["base", "adapter", "F16"]
    assert release["system"] is None
    assert not (workspace / "results/routing.html").exists()
    assert "No modifiers, so no router" in (workspace / "results/release/MODEL_CARD.md").read_text()


@pytest.mark.slow
def test_an_adapter_that_learned_preferences_is_released_alone(chained):
    workspace, _ = chained("chain: [adapt, prefer]\ngguf: null\nask_suite: {models: [adapter]}")
    release = read(workspace, "release/figures.json")
    files = [file["path"] for file in release["manifest"]["files"]]
    assert "files/preferred/adapter_model.safetensors" in files
    assert release["manifest"]["gates"] == ["adapter", "preferred"]
    report = read(workspace, "reports/prefer.json")
    assert report["pairs"] > 0, "it learned from the adapter's own wrong answers"
    assert [stage["stage"] for stage in release["stages"]] == ["base", "adapter", "preferred"]
    assert "No GGUF files" in (workspace / "results/release/MODEL_CARD.md").read_text()
    assert not (workspace / "results/gguf").exists()


def test_data_alone_needs_a_tokenizer_and_no_model(chained, built):
    base = f"base: {{kind: tokenizer, model: {built / 'results/base'}}}"
    source = "sources: [{name: alpaca, generator: alpaca, domain: instruction, licence: Apache-2.0}]"
    workspace, _ = chained(f"{base}\n{source}\nchain: []\ngguf: null\nask_suite: {{suites: []}}")
    assert (workspace / "results/curation.html").exists()
    assert (workspace / "results/gates/data/verdict.json").exists()
    assert not (workspace / "results/base").exists()
    assert (workspace / "results/data/train.jsonl").stat().st_size > 1000


ROUND_SCRIPT = '''"""Round the weights of a model to bfloat16, and store them as they were."""

from pathlib import Path

from ingot.io.records import write_json
from ingot.settings.compress import RoundWeights


def round_weights(model: Path, rounded: Path, report: Path, *, settings: RoundWeights) -> None:
    """Write the rounded model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    rounded_dtype = getattr(torch, settings.dtype)
    network.to(rounded_dtype).to(torch.float32).save_pretrained(rounded)
    AutoTokenizer.from_pretrained(model).save_pretrained(rounded)
    write_json(report, {"dtype": settings.dtype})
'''
ROUND_RULE = """

if "round_weights" in CHAIN:

    rule round_weights:
        input:
            model=CHAIN.inputs["round_weights"],
            gate=BUILD.gates_before("round_weights"),
            code=chain_code("compress", "round_weights"),
        output:
            rounded=directory("results/rounded"),
            report="results/reports/round_weights.json",
        log:
            "logs/round_weights.log",
        params:
            **step(settings=SETTINGS.round_weights),
        message:
            "Round the weights"
        shell:
            RUN
"""


def test_a_new_kind_of_step_is_a_script_a_rule_a_section_and_a_line(start, built_workspace, checkpoint, tmp_path):
    """The four places that CONTRIBUTING.md names are enough for gate, ledger, card, plots and `why`."""
    workspace = clone_of(start.folder, tmp_path / "ingot")
    shutil.copytree(built_workspace / ".dvc/cache", workspace / ".dvc/cache", symlinks=True)
    (workspace / "workflow_scripts/compress/round_weights.py").write_text(ROUND_SCRIPT)
    workspace.append("rules/compress.smk", ROUND_RULE)
    # The settings section: its model, its place, its values and its gate.
    workspace.append(
        "ingot/settings/compress.py",
        '\n\nclass RoundWeights(Section):\n    """Rounding of all weights."""\n\n'
        '    dtype: Literal["bfloat16", "float16"] = setting("Number format that weights are rounded to")\n',
    )
    workspace.edit(
        "ingot/settings/everything.py", "Prune, QuantizeAwq, Recover", "Prune, QuantizeAwq, Recover, RoundWeights"
    )
    workspace.edit(
        "ingot/settings/everything.py", "    prune: Prune\n", "    prune: Prune\n    round_weights: RoundWeights\n"
    )
    workspace.edit(
        "presets/defaults.yaml",
        "\ngates:\n",
        "\nround_weights: {dtype: bfloat16}\ngates:\n  round_weights: {max_kl: 0.1}\n",
    )
    # The line of the table.
    workspace.edit(
        "ingot/workflow/chain.py",
        '        Kind("prune",',
        '        Kind("round_weights", "rounded", takes=DENSE, gives=Form.CHECKPOINT, reads_data=False, loses=True),\n'
        '        Kind("prune",',
    )
    workspace.set(f"base: {{kind: local, model: {checkpoint}}}\nchain: [round_weights]\nsources: []")
    workspace.set("ask_suite: {suites: []}\ngguf: null")
    workspace.snakemake()
    assert read(workspace, "gates/rounded.json")["passed"] == ["max_kl"]
    release = read(workspace, "release/figures.json")
    rows = {row["artifact"]: row for row in release["ledger"]}
    assert rows["rounded"]["parent"] == "base"
    assert "| rounded | base |" in (workspace / "results/release/MODEL_CARD.md").read_text()
    workspace.set("round_weights: {dtype: float16}")
    steps = {row["step"]: row for row in json.loads(workspace.call("python", "-m", "traced.why", "--json"))}
    assert steps["round_weights"]["changes"] == [
        {"kind": "setting", "what": "settings.dtype", "old": "bfloat16", "new": "float16"}
    ]
    assert steps["measure-rounded"]["verdict"] == "waits for its inputs"
    said = workspace.snakemake(
        "--dry-run", "--config", "chain=[round_weights, adapt]", "gates={roundd: {}}", check=False
    )
    assert "gates.roundd: there is no such step" in said
