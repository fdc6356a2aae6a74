"""The legacy backend, run for real in its own environment. Slow: it builds that environment."""

import json
import os
import subprocess
import sys

import pytest

from helpers.workspaces import ROOT
from ingot.io.records import read_json, write_records


@pytest.mark.slow
def test_autoawq_quantises_on_a_cpu(checkpoint, tmp_path, record):
    import torch
    from transformers import AutoModelForCausalLM

    built = subprocess.run(
        [sys.executable, ROOT / "envs/build.py", "autoawq"], capture_output=True, text=True, check=True
    )
    write_records(tmp_path / "train.jsonl", [record(f"What is {i} + 1?", str(i + 1)) for i in range(64)])
    spec = {
        "input": {"model": str(checkpoint), "train": str(tmp_path / "train.jsonl")},
        "output": {name: str(tmp_path / name) for name in ("packed", "scaled", "report")},
        "params": {
            "scheme": "W4A16_ASYM",
            "group": "auto",
            "calibration": {"records": 64, "length": 32},
            "dtype": "float32",
            "threads": 2,
        },
    }
    script = "workflow_scripts/compress/quantize_autoawq.py"
    command = [f"{built.stdout.strip()}/bin/python", "-m", "ingot.workflow.entry", script, json.dumps(spec)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "report")["backend"] == "autoawq"
    config = json.loads((tmp_path / "packed/config.json").read_text())
    assert config["quantization_config"]["bits"] == 4
    plain, scaled = (
        AutoModelForCausalLM.from_pretrained(f, dtype=torch.float32) for f in (checkpoint, tmp_path / "scaled")
    )
    ids = torch.arange(3, 40)[None]
    with torch.no_grad():
        difference = (plain(ids).logits - scaled(ids).logits).abs().max()
    assert difference < 0.05 * plain(ids).logits.abs().max()
    assert not torch.equal(plain.model.layers[0].mlp.up_proj.weight, scaled.model.layers[0].mlp.up_proj.weight)
