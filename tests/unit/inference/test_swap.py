"""Modifiers that are laid over one base in one process, again and again."""

import random

import pytest

from helpers.models import answer_of
from ingot.converting.llama_cpp_tools import convert_lora
from ingot.inference.gguf_model import open_gguf

pytestmark = pytest.mark.graph

NAMES = ("code", "reasoning")
PROMPTS = ["Sort: 3 1 2", "What is 1 + 2? Ann asks.", "Write a lambda f.", "Portugal: name its capital."]
REQUESTS, LONGEST = 200, 6


@pytest.fixture(scope="module")
def modifiers(checkpoint, tmp_path_factory):
    """{name: LoRA as GGUF}: two with random weights, of the same shape."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("served")
    found = {}
    for seed, name in enumerate(NAMES):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_pretrained(checkpoint)
        config = LoraConfig(r=8, lora_alpha=64, target_modules=["q_proj", "v_proj", "up_proj"], init_lora_weights=False)
        get_peft_model(model, config).save_pretrained(folder / name)
        found[name] = folder / f"{name}.gguf"
        convert_lora(folder / name, checkpoint, found[name], "f16")
    return found


def test_interleaved_requests_are_answered_as_by_a_fresh_load(f16, modifiers, checkpoint):
    expected = {}
    for name in (None, *NAMES):
        for prompt in PROMPTS:
            model = open_gguf(f16, checkpoint, 128, 1, modifiers)
            model.use(name)
            expected[name, prompt] = answer_of(model, prompt, LONGEST)
    assert len({answer.text for answer in expected.values()}) > len(PROMPTS), "the modifiers change nothing"
    model = open_gguf(f16, checkpoint, 128, 1, modifiers)
    r = random.Random(0)
    for _ in range(REQUESTS):
        name, prompt = r.choice((None, *NAMES)), r.choice(PROMPTS)
        model.use(name)
        assert answer_of(model, prompt, LONGEST) == expected[name, prompt], (name, prompt)
