"""Shapes and sizes from numbers alone, beside those of real models."""

import json

import pytest

from helpers.workspaces import ROOT
from ingot.planning.gguf_sizes import write_hollow
from ingot.planning.plan import gguf_bytes
from ingot.planning.weights import weights_of

KNOWN = {
    "SmolLM2-135M-Instruct.Q4_1": (134_515_008, 4_884_480),
    "meta-llama--Llama-3.2-1B-Instruct": (1_235_814_400, 11_272_192),
    "meta-llama--Llama-3.1-8B-Instruct": (8_030_261_248, 41_943_040),
}
"""Weights, and those of a LoRA of rank 16, as their cards and peft say."""


@pytest.mark.parametrize("name", KNOWN)
def test_the_pinned_shapes_have_as_many_weights_as_the_models(name):
    weights = weights_of(json.loads((ROOT / f"presets/shapes/{name}.json").read_text()))
    assert (weights.parameters, weights.lora(16, None)) == KNOWN[name]


@pytest.mark.parametrize("kind", ["Llama", "Qwen3", "Mistral", "Gemma3Text", "Qwen2"])
@pytest.mark.parametrize("tied", [True, False])
def test_weights_are_those_that_transformers_makes(kind, tied):
    import torch
    import transformers

    config = getattr(transformers, f"{kind}Config")(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=32, vocab_size=320, tie_word_embeddings=tied, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    assert weights_of(config.to_dict()).parameters == pytest.approx(model.num_parameters(), rel=0.01)


@pytest.mark.parametrize("kind", ["Mixtral", "GPT2", "Phi3", "Qwen3Moe"])
def test_other_shapes_are_refused(kind):
    import transformers

    with pytest.raises(KeyError, match="model_type"):
        weights_of(getattr(transformers, f"{kind}Config")().to_dict())


def test_a_lora_has_the_weights_that_peft_trains(checkpoint):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    weights = weights_of(model.config.to_dict())
    for targets in (["q_proj", "down_proj"], sorted(weights.matrices)):
        trained = get_peft_model(
            AutoModelForCausalLM.from_pretrained(checkpoint), LoraConfig(r=4, target_modules=targets)
        ).get_nb_trainable_parameters()[0]
        assert weights.lora(4, targets) == trained


def test_llama_cpp_says_the_sizes_of_real_files(checkpoint, f16, tmp_path):
    from workflow_scripts.gguf.quantize import quantize

    config = json.loads((checkpoint / "config.json").read_text())
    types = ["F16", "Q8_0", "Q4_K_M", "IQ4_NL"]
    said = gguf_bytes(config, types, ROOT)
    for quant in types:
        path = f16 if quant == "F16" else tmp_path / f"{quant}.gguf"
        if quant != "F16":
            quantize(f16, [], [], path, quant=quant, threads=1)
        tokenizer = f16.stat().st_size - said["F16"]
        assert 0 < tokenizer < 60_000
        # llama.cpp says hundredths of MiB.
        assert said[quant] + tokenizer == pytest.approx(path.stat().st_size, abs=12_000)


def test_a_hollow_file_takes_no_room(tmp_path):
    weights = weights_of(json.loads((ROOT / "presets/shapes/meta-llama--Llama-3.1-8B-Instruct.json").read_text()))
    path = tmp_path / "hollow.gguf"
    assert write_hollow(path, weights) == path.stat().st_size > 16_000_000_000
    assert path.stat().st_blocks * 512 < 1_000_000
