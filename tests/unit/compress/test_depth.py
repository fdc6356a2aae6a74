"""Dropping blocks: those that the predictions need least go, and what is left is a model like any other."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from ingot.errors import InputError
from ingot.io.records import read_json, write_records
from ingot.settings.compress import Prune
from ingot.settings.training import Calibration
from ingot.text.tokenizer_files import copy_tokenizer
from ingot.training import depth
from workflow_scripts.compress.prune import prune

TEXTS = [[1, 5, 9, 13, 2], [3, 4, 8, 20, 7, 6]]
SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
         "vocab_size": 64, "num_hidden_layers": 6, "max_position_embeddings": 64,
         "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}  # fmt: skip


def made(kind="llama", useless=(), **given):
    """A random model, some of whose blocks change nothing."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**SMALL, **given})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
        for block in useless:
            model.model.layers[block].self_attn.o_proj.weight.zero_()
            model.model.layers[block].mlp.down_proj.weight.zero_()
    return model


def logits(model):
    with torch.no_grad():
        return [model(torch.tensor([ids])).logits for ids in TEXTS]


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma2", "gemma3_text", "mistral", "smollm3"])
def test_blocks_that_change_nothing_go_first_and_the_model_can_be_read_again(kind, tmp_path):
    model = made(kind, useless=[1, 4])
    before = logits(model)
    dropped = depth.drop_blocks(model, TEXTS, 2, tmp_path / "work")
    assert sorted(one["block"] for one in dropped) == [1, 4]
    assert all(one["kl"] == pytest.approx(0, abs=1e-4) for one in dropped)
    model.save_pretrained(tmp_path / "less")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "less").eval()
    assert again.config.num_hidden_layers == 4
    kinds = getattr(again.config, "layer_types", None)
    assert kinds is None or len(kinds) == 4
    for one, other in zip(before, logits(again), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_blocks_are_tried_anew_after_each(tmp_path):
    model = made(useless=[1])
    whole = depth.drop_blocks(model, TEXTS, 4, tmp_path / "whole")
    losses = [one["kl"] for one in whole]
    assert whole[0] == {"block": 1, "kl": pytest.approx(0, abs=1e-4)}
    assert losses[-1] > losses[1] > 0.001
    with pytest.raises(InputError, match="6 of 6 blocks would be dropped"):
        depth.drop_blocks(made(), TEXTS, 6, tmp_path / "none")
    with pytest.raises(InputError, match="0 of 6 blocks would be dropped"):
        depth.drop_blocks(made(), TEXTS, 0, tmp_path / "none")


def test_a_run_that_was_killed_goes_on(tmp_path, monkeypatch):
    whole = made()
    expected = depth.drop_blocks(whole, TEXTS, 3, tmp_path / "whole")
    tries, real = [], depth.Divergence.now

    def now_or_die(self):
        tries.append(1)
        if len(tries) == 8:
            raise KeyboardInterrupt
        return real(self)

    monkeypatch.setattr(depth.Divergence, "now", now_or_die)
    with pytest.raises(KeyboardInterrupt):
        depth.drop_blocks(made(), TEXTS, 3, tmp_path / "killed")
    del tries[:]
    again = made()
    tries += [0] * 100
    assert depth.drop_blocks(again, TEXTS, 3, tmp_path / "killed") == expected
    assert len(tries) == 100 + 4 + 4, "what was tried is not tried again"
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_the_step_says_which_blocks_it_dropped(checkpoint, record, tmp_path):
    write_records(tmp_path / "train.jsonl", [record(f"What is {i} + 1?", str(i + 1)) for i in range(16)])
    settings = {"method": "sparsegpt", "structure": "blocks", "calibration": Calibration(records=4, length=32)}
    ratios = {"attention": 0, "feed_forward": 0, "blocks": 0.5}
    places = [tmp_path / name for name in ("pruned", "report.json", "work")]
    prune(checkpoint, tmp_path / "train.jsonl", *places, settings=Prune(**settings, ratios=ratios), threads=1)
    report = read_json(tmp_path / "report.json")
    assert len(report["dropped"]) == 1 and report["dropped"][0]["kl"] > 0
    assert AutoConfig.from_pretrained(tmp_path / "pruned").num_hidden_layers == 1
    copy_tokenizer(checkpoint, tmp_path / "other")
    assert {path.name for path in (tmp_path / "pruned").iterdir()} > {"config.json", "tokenizer.json"}
