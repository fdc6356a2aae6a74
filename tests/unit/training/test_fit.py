"""The plain training: in parts, killed midway, and with what it cannot do."""

from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM

from ingot.errors import InputError
from ingot.settings.training import FullTraining
from ingot.text.chat import Encoded
from ingot.training import state
from ingot.training.adamw import rounded
from ingot.training.fit import IGNORED, fit, loss_of, packed_rows

pytestmark = pytest.mark.graph

SETTINGS = FullTraining(
    steps=7, batch=2, accumulation=2, length=32, learning_rate=0.01, weight_decay=0.1, warmup=2, optimizer="muon"
)


class KilledError(Exception):
    """Stands for whatever ends a process."""


def load(folder, dtype=torch.float32):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)


@pytest.fixture
def rows():
    ids = torch.randint(3, 250, (11, 32), generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids, "labels": ids, "position_ids": torch.arange(32).expand(11, 32)}


def trained(checkpoint, rows, work, settings, killed_at=None):
    torch.manual_seed(0)
    model, taken = load(checkpoint, torch.bfloat16 if settings.optimizer == "adamw_8bit" else torch.float32), 0

    def after_step(_):
        nonlocal taken
        taken += 1
        if taken == killed_at:
            raise KilledError

    losses = fit(model, rows, settings, "test", work, after_step)
    return model.state_dict(), losses, taken


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "adamw_8bit"])
def test_a_training_that_was_killed_ends_with_the_same_weights(checkpoint, rows, tmp_path, monkeypatch, optimizer):
    settings = SETTINGS.model_copy(update={"optimizer": optimizer})
    monkeypatch.setattr(state, "LEAST_SECONDS", -1)
    monkeypatch.setattr(state, "LARGEST_SHARE", 1e9)
    whole, losses, _ = trained(checkpoint, rows, tmp_path / "whole", settings)
    for killed_at in (3, 2):
        with pytest.raises(KilledError):
            trained(checkpoint, rows, tmp_path / "killed", settings, killed_at)
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["step-3"]
    resumed, losses_of_resumed, taken = trained(checkpoint, rows, tmp_path / "killed", settings)
    assert taken == 4
    assert losses_of_resumed == losses
    assert all(torch.equal(resumed[name], weight) for name, weight in whole.items())


def test_a_state_that_was_not_written_whole_is_passed_over(checkpoint, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(state, "LEAST_SECONDS", -1)
    monkeypatch.setattr(state, "LARGEST_SHARE", 1e9)
    (tmp_path / "work/.step-5").mkdir(parents=True)
    _, _, taken = trained(checkpoint, rows, tmp_path / "work", SETTINGS)
    assert taken == 7
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["step-7"]


def test_parts_have_the_gradients_of_the_whole(checkpoint, rows):
    rows["labels"] = rows["labels"].clone()
    rows["labels"][0, 5:] = IGNORED  # parts with different numbers of targets
    gradients = []
    for accumulation in (1, 3):
        model = load(checkpoint)
        loss = loss_of(model, rows, accumulation)
        gradients.append((loss, [parameter.grad for parameter in model.parameters()]))
    (loss, whole), (loss_in_parts, in_parts) = gradients
    assert loss == pytest.approx(loss_in_parts, rel=1e-5)
    for ours, theirs in zip(whole, in_parts, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_packed_texts_teach_what_they_teach_in_rows_of_their_own(checkpoint, attention):
    draw = torch.Generator().manual_seed(0)
    texts = [
        Encoded(torch.randint(3, 250, (length,), generator=draw).tolist(), prompt=2) for length in (9, 20, 12, 5, 7)
    ]
    found = []
    for conversations in (texts, *([text] for text in texts)):
        model = load(checkpoint)
        model.set_attn_implementation(attention)
        rows = packed_rows(conversations, 32, 0)
        targets = (rows["labels"][:, 1:] != IGNORED).sum().item()
        found.append((targets, loss_of(model, rows, 1), {name: one.grad for name, one in model.named_parameters()}))
    (targets, loss, gradients), alone = found[0], found[1:]
    assert targets == sum(one[0] for one in alone)
    assert loss == pytest.approx(sum(one[0] * one[1] for one in alone) / targets, rel=1e-5)
    for name, gradient in gradients.items():
        wanted = sum(one[0] * one[2][name] for one in alone) / targets
        torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-6)


def test_fewer_rows_than_a_step_are_an_error(checkpoint, rows, tmp_path):
    with pytest.raises(InputError, match="3 packed rows are fewer than the 4 of a step"):
        fit(load(checkpoint), {name: one[:3] for name, one in rows.items()}, SETTINGS, "test", tmp_path)


def test_a_full_disk_stops_no_training(checkpoint, rows, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(state, "LEAST_SECONDS", -1)
    monkeypatch.setattr(state, "LARGEST_SHARE", 1e9)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    _, _, taken = trained(checkpoint, rows, tmp_path / "work", SETTINGS)
    assert taken == 7
    assert list((tmp_path / "work").iterdir()) == []
    assert "more than are free" in capsys.readouterr().err


def test_a_loss_that_is_not_a_number_stops_it(checkpoint, rows, tmp_path):
    model = load(checkpoint)
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(InputError, match="the loss is nan at step 0"):
        fit(model, rows, SETTINGS, "test", tmp_path)


def test_rounding_at_random_keeps_the_mean_and_rounds_to_a_neighbour():
    torch.manual_seed(0)
    value = 1 + 2**-7 * 0.25  # a quarter of the way from 1 to the next number in bfloat16
    drawn = rounded(torch.full((40_000,), value))
    assert drawn.dtype == torch.bfloat16
    assert set(drawn.tolist()) == {1.0, 1 + 2**-7}
    assert drawn.float().mean().item() == pytest.approx(value, abs=2**-7 * 0.01)
    exact = torch.tensor([0.0, -0.0, 1.0, -2.5, 2.0**-126])
    assert torch.equal(rounded(exact).float(), exact)
    assert (rounded(torch.full((1000,), -value)).float() <= -1).all()
    none = torch.tensor([0x7FFFFFFF, 0x7FC00000, -1], dtype=torch.int32).view(torch.float32)
    assert rounded(none).isnan().all()
    assert torch.equal(
        rounded(torch.tensor([float("inf"), -float("inf")])), torch.tensor([float("inf"), -float("inf")])
    )


def test_steps_that_bfloat16_cannot_hold_are_not_lost(checkpoint, rows, tmp_path):
    """Each step moves a weight by a hundredth of its last bit: rounded to the nearest, nothing would ever change."""
    settings = SETTINGS.model_copy(update={"optimizer": "adamw_8bit", "steps": 40, "learning_rate": 2e-6, "warmup": 1})
    torch.manual_seed(0)
    model = load(checkpoint, torch.bfloat16)
    weight = model.model.layers[0].mlp.up_proj.weight
    before = weight.detach().clone()
    fit(model, rows, settings, "test", tmp_path)
    moved = (weight.float() - before.float()).abs()
    assert weight.dtype == torch.bfloat16
    assert moved.mean().item() == pytest.approx(2e-6 * 20, rel=0.9)
