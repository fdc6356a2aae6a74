"""How far predictions are from those before: as torch's KL divergence says, though not all tokens are kept."""

import copy

import pytest
import torch
from torch.nn.functional import kl_div, log_softmax
from transformers import LlamaConfig, LlamaForCausalLM

from ingot.inference import divergence
from ingot.inference.divergence import Divergence

TEXTS = [[1, 5, 9, 13, 2], [3, 4, 8]]


@pytest.fixture
def models():
    torch.manual_seed(0)
    size = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_hidden_layers": 2}
    model = LlamaForCausalLM(LlamaConfig(**size, vocab_size=200)).eval()
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in (*model.parameters(), *other.parameters()):
            parameter.mul_(6)
        other.model.layers[1].mlp.down_proj.weight.mul_(0.5)
    return model, other


def exact(model, other):
    with torch.no_grad():
        pairs = [[log_softmax(one(torch.tensor([ids])).logits[0], -1) for one in (other, model)] for ids in TEXTS]
    total = sum(float(kl_div(given, wanted, log_target=True, reduction="sum")) for given, wanted in pairs)
    return total / sum(map(len, TEXTS))


@pytest.mark.parametrize("kept", [1024, 64, 4])
def test_it_is_the_kl_divergence_and_never_more(models, kept, monkeypatch):
    monkeypatch.setattr(divergence, "LIKELIEST", kept)
    model, other = models
    found, expected = Divergence(model, TEXTS), exact(model, other)
    assert found.now() == pytest.approx(0, abs=1e-5)
    found.network = other
    assert expected > 0.05
    if kept == 1024:
        assert found.now() == pytest.approx(expected, rel=1e-4)
    else:
        assert 0.3 * expected < found.now() < expected * 1.0001
