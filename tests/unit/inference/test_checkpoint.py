"""A checkpoint in memory: what makes it faster changes no answer."""

import pytest

from ingot.inference import checkpoint as module
from ingot.inference.checkpoint import Checkpoint
from ingot.text import chat

QUESTIONS = ["Sort: 3 1 2", "What is 1 + 2? Ann asks.", "Write a lambda f.", "Portugal: name its capital. " * 5]


def test_answers_that_go_on_in_other_batches_are_the_same(checkpoint, monkeypatch):
    model = Checkpoint([checkpoint], 1)  # alone in its batch, so that no padding changes the last digits
    prompts = [chat.prompt_text(model.tokenizer, question) for question in QUESTIONS]
    whole = model.complete(prompts, 24)
    asked = []
    go_on = model.go_on
    monkeypatch.setattr(model, "go_on", lambda texts, steps, heat: asked.append(steps) or go_on(texts, steps, heat))
    monkeypatch.setattr(module, "FIRST_STEPS", 3)
    assert model.complete(prompts, 24) == whole
    assert asked[:4] == [3] * 4
    assert set(asked) <= {3, 6, 12}, "3 tokens, then 6, then 12, and the 3 that are left"


def test_shared_keys_give_the_same_bits(checkpoint, monkeypatch):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.integrations import sdpa_attention

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    padded = tokenizer(QUESTIONS, return_tensors="pt", padding=True)

    def logits():
        network = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
        with torch.no_grad():
            return network(**padded).logits

    monkeypatch.setattr(sdpa_attention, "use_gqa_in_sdpa", lambda *_: False)
    copied = logits()
    monkeypatch.undo()
    module.share_keys()
    assert torch.equal(copied, logits())


@pytest.fixture(autouse=True)
def own_attention(monkeypatch):
    """Leave transformers as it was."""
    from transformers.integrations import sdpa_attention

    monkeypatch.setattr(sdpa_attention, "use_gqa_in_sdpa", sdpa_attention.use_gqa_in_sdpa)
