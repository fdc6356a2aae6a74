"""Merging is done weight by weight, and gives what peft gives with all of them in memory."""

from dataclasses import replace

import pytest
import torch
from peft import PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from helpers.settings import TRAINING
from ingot.errors import InputError
from ingot.io import tensors
from ingot.io.records import read_json
from ingot.settings.adapter import Merge
from ingot.text.tokenizer_files import copy_tokenizer
from ingot.training.lora import lora_config
from workflow_scripts.adapter.merge import merge

pytestmark = pytest.mark.graph


def load(folder, dtype=torch.float32):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)


@pytest.fixture(params=["llama", "gpt2"])
def base(request, checkpoint, tmp_path):
    """A model that stores its matrices [outputs, inputs], or, as GPT-2 does, the other way round."""
    model = load(checkpoint)
    if request.param == "gpt2":
        torch.manual_seed(1)
        model = GPT2LMHeadModel(GPT2Config(vocab_size=512, n_positions=128, n_embd=32, n_layer=2, n_head=2))
        AutoTokenizer.from_pretrained(checkpoint).save_pretrained(tmp_path / "base")
    else:
        copy_tokenizer(checkpoint, tmp_path / "base")
    model.save_pretrained(tmp_path / "base", max_shard_size=10_000)
    return tmp_path / "base"


def adapter_of(base, folder, **changes):
    torch.manual_seed(0)
    model = load(base)
    adapted = get_peft_model(model, replace(lora_config(model, TRAINING), **changes))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    adapted.save_pretrained(folder)
    return folder


def merged_by_peft(base, adapter, dtype):
    return PeftModel.from_pretrained(load(base), adapter).merge_and_unload().to(dtype).state_dict()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shard", [1_000_000_000, 10_000])
def test_it_gives_the_bits_that_peft_gives(base, tmp_path, monkeypatch, dtype, shard):
    monkeypatch.setattr(tensors, "SHARD_BYTES", shard)
    monkeypatch.setattr("workflow_scripts.adapter.merge.merge_at_once", None)
    adapter = adapter_of(base, tmp_path / "adapter")
    merge(base, adapter, tmp_path / "merged", settings=Merge(dtype=dtype))
    assert (tmp_path / "merged/model.safetensors").exists() == (shard > 10_000)
    found, wanted = load(tmp_path / "merged", "auto"), merged_by_peft(base, adapter, getattr(torch, dtype))
    assert found.dtype == getattr(torch, dtype)
    assert all(torch.equal(weight, wanted[name]) for name, weight in found.state_dict().items())
    before = load(base).state_dict()
    assert sum(not torch.equal(weight.float(), before[name].to(found.dtype).float()) for name, weight in wanted.items())
    assert found.generation_config == load(base).generation_config
    assert read_json(tmp_path / "merged/config.json") == read_json(base / "config.json") | {"dtype": dtype}


def test_what_is_no_plain_lora_is_merged_by_peft(base, tmp_path):
    adapter = adapter_of(base, tmp_path / "adapter", use_rslora=True)
    merge(base, adapter, tmp_path / "merged", settings=Merge(dtype="float32"))
    found, wanted = load(tmp_path / "merged").state_dict(), merged_by_peft(base, adapter, torch.float32)
    assert all(torch.equal(weight, wanted[name]) for name, weight in found.items())
    assert AutoTokenizer.from_pretrained(tmp_path / "merged")


def test_an_adapter_of_another_model_is_refused(base, tmp_path):
    from safetensors.torch import load_file, save_file

    file = adapter_of(base, tmp_path / "adapter") / "adapter_model.safetensors"
    other = {name.replace("layers.1", "layers.7").replace("h.1", "h.7"): one for name, one in load_file(file).items()}
    save_file(other, file)
    with pytest.raises(RuntimeError, match=r"weights that .* does not have: .*\.7\."):
        merge(base, file.parent, tmp_path / "merged", settings=Merge(dtype="float32"))


def test_an_update_of_another_shape_is_refused(base, tmp_path):
    from safetensors.torch import load_file, save_file

    file = adapter_of(base, tmp_path / "adapter") / "adapter_model.safetensors"
    save_file({name: one[:-2] if "lora_B" in name else one for name, one in load_file(file).items()}, file)
    with pytest.raises(RuntimeError, match="and its update is"):
        merge(base, file.parent, tmp_path / "merged", settings=Merge(dtype="float32"))


def test_a_cut_file_is_named(base, tmp_path):
    adapter = adapter_of(base, tmp_path / "adapter")
    path = min(base.glob("model-*.safetensors"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="safetensors: not a whole file of tensors"):
        merge(base, adapter, tmp_path / "merged", settings=Merge(dtype="float32"))
