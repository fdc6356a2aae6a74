"""Packed rows teach what the same texts teach in rows of their own."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from ingot.inference.device import compute_dtype, device
from ingot.training import packing

LENGTHS = 5, 200, 1, 11, 130
SHAPE = {
    "vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
WINDOWS = {"mistral": 7, "phi3": 150, "gemma3_text": 7}
"""Tokens that a token sees at most, itself among them, of the architectures that limit them."""


def loss_and_gradients(model, batches):
    """The loss of all targets of the batches together, and the gradients of all weights, by name."""
    model.zero_grad()
    targets = sum((batch["labels"][:, 1:] != -100).sum() for batch in batches)
    total = 0.0
    for batch in batches:
        moved = {key: value.to(device()) if torch.is_tensor(value) else value for key, value in batch.items()}
        half = compute_dtype() == torch.bfloat16 and device() == "cuda"
        with torch.autocast(device(), dtype=torch.bfloat16, enabled=half):
            loss = model(**moved, use_cache=False, num_items_in_batch=targets.to(device())).loss
        loss.backward()
        total += loss.item()
    return total, {name: weight.grad.clone() for name, weight in model.named_parameters()}


@pytest.mark.parametrize("architecture", sorted(packing.ARCHITECTURES))
def test_packed_texts_give_the_loss_and_the_gradients_of_texts_alone(architecture):
    torch.manual_seed(0)
    window = {"sliding_window": WINDOWS[architecture]} if architecture in WINDOWS else {}
    config = AutoConfig.for_model(architecture, **SHAPE, **window)
    model = AutoModelForCausalLM.from_config(config).to(device()).train()
    texts = [torch.randint(3, 64, (length,)) for length in LENGTHS]
    alone = loss_and_gradients(model, [{"input_ids": text[None], "labels": text[None]} for text in texts])
    rows = [{"input_ids": torch.cat(texts[:3]).tolist(), "seq_lengths": list(LENGTHS[:3])},
            {"input_ids": torch.cat(texts[3:]).tolist(), "seq_lengths": list(LENGTHS[3:])}]  # fmt: skip
    packed = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)(rows)

    packing.attend_without_mask(model)
    assert model.config._attn_implementation == packing.NAME
    together = loss_and_gradients(model, [packed])

    close = {"rtol": 1e-4, "atol": 1e-6} if device() == "cpu" else {"rtol": 0.05, "atol": 0.005}
    assert together[0] == pytest.approx(alone[0], rel=close["rtol"])
    for name, gradient in alone[1].items():
        torch.testing.assert_close(together[1][name], gradient, **close)


def test_a_token_does_not_see_other_texts():
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, heads, 6, 8, requires_grad=True) for heads in (4, 2, 2))
    bounds = torch.tensor([0, 2, 6], dtype=torch.int32)
    attended, _ = packing.attend_within_texts(
        None, query, key, value, None, cu_seq_lens_q=bounds, max_length_q=4, scaling=0.3
    )
    attended[0, 3].sum().backward()
    assert key.grad.abs().sum(dim=(0, 1, 3)).gt(0).tolist() == [False, False, True, True, False, False]


def test_an_unknown_architecture_keeps_its_mask():
    config = AutoConfig.for_model("gpt2", vocab_size=64, n_embd=32, n_layer=1, n_head=2)
    model = AutoModelForCausalLM.from_config(config)
    before = model.config._attn_implementation
    packing.attend_without_mask(model)
    assert model.config._attn_implementation == before
