"""Merging is done weight by weight, and gives what peft gives with all of them in memory."""

import pytest
import torch
from peft import PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from helpers.settings import TRAINING
from ingot.errors import InputError
from ingot.io import tensors
from ingot.io.records import read_json
from ingot.settings.adapter import Merge
from ingot.training.lora import lora_config
from workflow_scripts.adapter.merge import merge

pytestmark = pytest.mark.graph


def load(folder, dtype=torch.float32):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)


@pytest.fixture
def adapter(checkpoint, tmp_path):
    torch.manual_seed(0)
    model = load(checkpoint)
    adapted = get_peft_model(model, lora_config(model, TRAINING))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    adapted.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shard", [1_000_000_000, 10_000])
def test_it_gives_the_bits_that_peft_gives(checkpoint, adapter, tmp_path, monkeypatch, dtype, shard):
    monkeypatch.setattr(tensors, "SHARD_BYTES", shard)
    load(checkpoint).save_pretrained(tmp_path / "base", max_shard_size=shard)
    merge(tmp_path / "base", adapter, tmp_path / "merged", settings=Merge(dtype=dtype))
    assert (tmp_path / "merged/model.safetensors").exists() == (shard > 10_000)
    wanted = PeftModel.from_pretrained(load(checkpoint), adapter).merge_and_unload().to(getattr(torch, dtype))
    found = load(tmp_path / "merged", dtype="auto")
    assert found.dtype == getattr(torch, dtype)
    assert all(map(torch.equal, found.state_dict().values(), wanted.state_dict().values()))
    assert not torch.equal(
        found.state_dict()["model.layers.0.mlp.up_proj.weight"].float(),
        load(checkpoint).model.layers[0].mlp.up_proj.weight,
    )
    assert found.generation_config == load(checkpoint).generation_config
    config = read_json(tmp_path / "base/config.json")
    assert read_json(tmp_path / "merged/config.json") == config | {"dtype": dtype}


def test_an_adapter_of_another_model_is_refused(checkpoint, adapter, tmp_path):
    from safetensors.torch import load_file, save_file

    factors = load_file(adapter / "adapter_model.safetensors")
    save_file(
        {name.replace("layers.1", "layers.7"): one for name, one in factors.items()},
        adapter / "adapter_model.safetensors",
    )
    with pytest.raises(RuntimeError, match=r"weights that .* does not have: \['model.layers.7"):
        merge(checkpoint, adapter, tmp_path / "merged", settings=Merge(dtype="float32"))


def test_a_cut_file_is_named(checkpoint, adapter, tmp_path):
    load(checkpoint).save_pretrained(tmp_path / "base")
    path = tmp_path / "base/model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="model.safetensors: not a whole file of tensors"):
        merge(tmp_path / "base", adapter, tmp_path / "merged", settings=Merge(dtype="float32"))
