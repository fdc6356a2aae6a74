"""Pruning, recovery and AWQ on a model of two layers."""

import pytest
import torch
from llmcompressor.core import active_session
from transformers import AutoModelForCausalLM

from ingot.io.records import read_json, write_records
from ingot.settings.compress import Prune
from ingot.settings.training import Calibration, FullTraining
from ingot.training import sparsity
from ingot.training.parts import Parts
from workflow_scripts.compress.prune import prune
from workflow_scripts.compress.quantize_awq import quantize_awq
from workflow_scripts.compress.recover import recover

pytestmark = pytest.mark.graph

CALIBRATION = Calibration(records=8, length=32)
NONE = {"attention": 0, "feed_forward": 0, "blocks": 0}


@pytest.fixture
def train(tmp_path, record):
    write_records(tmp_path / "train.jsonl", [record(f"What is {i} + 1?", str(i + 1)) for i in range(64)])
    return tmp_path / "train.jsonl"


def pruned(checkpoint, train, tmp_path, **changes):
    settings = {"method": "sparsegpt", "structure": "2:4", "ratios": NONE, "calibration": CALIBRATION} | changes
    places = [tmp_path / name for name in ("pruned", "report.json", "work")]
    prune(checkpoint, train, *places, settings=Prune(**settings), threads=1)
    return tmp_path / "pruned"


def awq(folder, train, tmp_path):
    places = [tmp_path / name for name in ("packed", "scaled", "awq.json", "awq-work")]
    given = {"scheme": "W4A16_ASYM", "group": "auto", "calibration": CALIBRATION, "dtype": "float32"}
    quantize_awq(folder, train, *places, **given, threads=1)
    return tmp_path / "packed"


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


@pytest.mark.parametrize("method", ["sparsegpt", "wanda"])
def test_two_of_four_is_reached_in_every_matrix_of_the_blocks(method, checkpoint, train, tmp_path):
    folder = pruned(checkpoint, train, tmp_path, method=method)
    matrices = sparsity.pruned_matrices(load(folder))
    assert len(matrices) == 14
    assert all(sparsity.is_two_of_four(matrix) for matrix in matrices.values())
    report = read_json(tmp_path / "report.json")
    assert report["zeros"]["attention"] == report["zeros"]["feed_forward"] == 0.5


def test_ratios_per_part(checkpoint, train, tmp_path):
    pruned(checkpoint, train, tmp_path, structure="unstructured", ratios=NONE | {"attention": 0.3, "feed_forward": 0.6})
    zeros = read_json(tmp_path / "report.json")["zeros"]
    assert zeros["attention"] == pytest.approx(0.3, abs=0.01)
    assert zeros["feed_forward"] == pytest.approx(0.6, abs=0.01)


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "adamw_8bit"])
def test_recovery_trains_and_keeps_every_zero(checkpoint, train, tmp_path, optimizer):
    folder = pruned(checkpoint, train, tmp_path)
    course = {"learning_rate": 0.01, "weight_decay": 0.1, "warmup": 2, "optimizer": optimizer}
    training = FullTraining(steps=8, batch=2, accumulation=1, length=64, **course)
    recover(
        folder,
        train,
        tmp_path / "recovered",
        tmp_path / "recover.json",
        training=training,
        difficulties=["easy"],
        dtype="float32",
        work=tmp_path / "work",
        seed=0,
        threads=1,
    )
    before, after = (sparsity.pruned_matrices(load(f)) for f in (folder, tmp_path / "recovered"))
    for name, matrix in before.items():
        assert (after[name][matrix == 0] == 0).all()
        assert not torch.equal(after[name], matrix)


def test_a_broken_mask_is_noticed(checkpoint, train, tmp_path):
    model = load(pruned(checkpoint, train, tmp_path))
    mask = sparsity.Mask(model)
    assert mask.broken() == 0
    matrix = next(iter(mask.matrices.values()))
    with torch.no_grad():
        matrix[matrix == 0] = 1e-9
    assert mask.broken() > 0
    mask.apply()
    assert mask.broken() == 0


def test_two_of_four_knows_a_group_with_three():
    assert sparsity.is_two_of_four(torch.tensor([[1.0, 0, 2, 0], [0, 0, 0, 1]]))
    assert not sparsity.is_two_of_four(torch.tensor([[1.0, 3, 2, 0], [0, 0, 0, 1]]))


def test_awq_scaling_changes_weights_but_not_what_is_computed_and_keeps_zeros(checkpoint, train, tmp_path):
    folder = pruned(checkpoint, train, tmp_path)
    awq(folder, train, tmp_path)
    plain, scaled, packed = load(folder), load(tmp_path / "scaled"), load(tmp_path / "packed")
    ids = torch.arange(3, 40)[None]
    with torch.no_grad():
        logits = [model(ids).logits for model in (plain, scaled, packed)]
    assert (logits[0] - logits[1]).abs().max() < 0.05 * logits[0].abs().max()  # bfloat16 while scaling
    assert 0 < (logits[0] - logits[2]).abs().max() < logits[0].abs().max()
    report = read_json(tmp_path / "awq.json")
    assert report["zeros_scaled"]["all"] >= report["zeros_before"]["all"] - 1e-4
    assert (tmp_path / "packed/model.safetensors").stat().st_size < (
        tmp_path / "scaled/model.safetensors"
    ).stat().st_size


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


KINDS = {
    "sparsegpt": lambda *given: pruned(*given, method="sparsegpt"),
    "wanda, two ratios": lambda *given: pruned(
        *given, method="wanda", structure="unstructured", ratios=NONE | {"attention": 0.3, "feed_forward": 0.6}
    ),
    "awq": awq,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [1, 2, 3])
def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_bytes(
    checkpoint, train, tmp_path, monkeypatch, kind, kept
):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = KINDS[kind](checkpoint, train, tmp_path / "whole")
    keep, compressed = Parts.keep, []

    def keep_or_die(self, model, modules):
        before = self.count
        keep(self, model, modules)
        compressed.append(self.count > before)
        if len(compressed) == kept:
            raise KeyboardInterrupt

    monkeypatch.setattr(Parts, "keep", keep_or_die)
    with pytest.raises(KeyboardInterrupt):
        KINDS[kind](checkpoint, train, tmp_path / "killed")
    active_session().reset()  # a process that was killed leaves none
    del compressed[:-kept]
    again = KINDS[kind](checkpoint, train, tmp_path / "killed")
    assert compressed[kept : 2 * kept] == [False] * kept, "what was kept is passed over"
    assert all(compressed[2 * kept :]) and len(compressed) == kept + (6 if "two" in kind else 3)
    assert bytes_of(again) == bytes_of(whole)
    if kind == "awq":
        assert bytes_of(again.parent / "scaled") == bytes_of(whole.parent / "scaled")


def test_a_full_disk_keeps_no_part_and_stops_nothing(checkpoint, tmp_path, monkeypatch, capfd):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    parts = Parts(tmp_path / "work", model := load(checkpoint))
    parts.keep(model, [model.model.layers[0].mlp.up_proj])
    assert "a compressed part was not kept" in capfd.readouterr().err
    monkeypatch.undo()
    parts.keep(model, [model.model.layers[1].mlp.up_proj])
    parts.end()
    assert not list((tmp_path / "work").iterdir()), "nor one behind it"


def test_parts_are_taken_only_if_all_of_the_modifier_before_are_there(checkpoint, tmp_path):
    model = load(checkpoint)
    layers = [model.model.layers[i].mlp.up_proj for i in range(2)]
    first, second = (Parts(tmp_path / name, model) for name in "12")
    for parts in (first, second):
        for layer in layers:
            parts.keep(model, [layer])
    second.end()

    def taken():
        return Parts(tmp_path / "2", model, Parts(tmp_path / "1", model)).finished

    assert taken() == set()
    first.end()
    assert taken() == set(layers)
