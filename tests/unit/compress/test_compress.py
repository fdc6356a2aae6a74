"""Pruning, recovery and AWQ on a model of two layers."""

import itertools

import pytest
import torch
from llmcompressor.core import active_session
from transformers import AutoModelForCausalLM

from ingot.errors import InputError
from ingot.io.records import read_json, write_records
from ingot.settings.compress import Gradual, Prune
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


def recovered(folder, train, tmp_path, optimizer="adamw", gradual=None):
    course = {"learning_rate": 0.01, "weight_decay": 0.1, "warmup": 2, "optimizer": optimizer}
    recover(
        folder,
        train,
        tmp_path / "recovered",
        tmp_path / "recover.json",
        training=FullTraining(steps=8, batch=2, accumulation=1, length=64, **course),
        gradual=gradual,
        difficulties=["easy"],
        dtype="float32",
        work=tmp_path / "work",
        seed=0,
        threads=1,
    )
    return tmp_path / "recovered"


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "adamw_8bit"])
def test_recovery_trains_and_keeps_every_zero(checkpoint, train, tmp_path, optimizer):
    folder = pruned(checkpoint, train, tmp_path)
    before, after = (sparsity.pruned_matrices(load(f)) for f in (folder, recovered(folder, train, tmp_path, optimizer)))
    for name, matrix in before.items():
        assert (after[name][matrix == 0] == 0).all()
        assert not torch.equal(after[name], matrix)


GRADUAL = Gradual(attention=0.2, feed_forward=0.6, until=6, every=2)


@pytest.mark.parametrize("first", [0, 0.3])
def test_the_number_of_zeros_grows_in_the_course_of_recovery(checkpoint, train, tmp_path, first):
    ratios = NONE | {"feed_forward": first}
    folder = pruned(checkpoint, train, tmp_path, structure="unstructured", ratios=ratios)
    assert read_json(tmp_path / "report.json")["zeros"]["feed_forward"] == pytest.approx(first, abs=0.001)
    before, after = (
        sparsity.pruned_matrices(load(f)) for f in (folder, recovered(folder, train, tmp_path, gradual=GRADUAL))
    )
    for name, matrix in after.items():
        share = GRADUAL.attention if "self_attn" in name else GRADUAL.feed_forward
        assert (matrix == 0).float().mean() == pytest.approx(share, abs=0.001)
        assert (matrix[before[name] == 0] == 0).all()


def test_the_number_of_zeros_grows_fast_at_first_and_never_falls(checkpoint):
    model = load(checkpoint)
    mask = sparsity.Mask(model, Gradual(attention=0, feed_forward=0.8, until=0.5, every=1), steps=20)
    name = next(name for name in mask.matrices if "mlp" in name)
    shares = []
    for step in range(1, 21):
        mask.apply(step)
        shares.append(float((mask.matrices[name] == 0).float().mean()))
    grown = [after - before for before, after in itertools.pairwise(shares)]
    assert shares[9:] == [pytest.approx(0.8, abs=0.001)] * 11
    assert grown[:9] == sorted(grown[:9], reverse=True)
    assert min(grown) >= 0
    assert sparsity.shares(model)["attention"] < 0.001


def test_a_gradual_recovery_that_was_killed_ends_with_the_same_bytes(checkpoint, train, tmp_path, monkeypatch):
    folder = pruned(checkpoint, train, tmp_path, structure="unstructured", ratios=NONE | {"feed_forward": 0.1})
    monkeypatch.setattr("ingot.training.state.LEAST_SECONDS", 0)
    monkeypatch.setattr("ingot.training.state.LARGEST_SHARE", 1e9)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = recovered(folder, train, tmp_path / "whole", gradual=GRADUAL)
    apply = sparsity.Mask.apply

    def apply_or_die(self, step=0):
        if step == 4:
            raise KeyboardInterrupt
        apply(self, step)

    with monkeypatch.context() as dying:
        dying.setattr(sparsity.Mask, "apply", apply_or_die)
        with pytest.raises(KeyboardInterrupt):
            recovered(folder, train, tmp_path / "killed", gradual=GRADUAL)
    assert [path.name for path in (tmp_path / "killed/work").iterdir()] == ["step-3"]
    assert bytes_of(recovered(folder, train, tmp_path / "killed", gradual=GRADUAL)) == bytes_of(whole)


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


def test_zeros_that_were_lost_before_a_kill_are_noticed_after_it(checkpoint, train, tmp_path):
    mask = sparsity.Mask(model := load(pruned(checkpoint, train, tmp_path)))
    with torch.no_grad():
        next(iter(mask.matrices.values())).add_(1)  # as a damaged state would hold them
    mask.go_on()
    assert mask.broken() > 0 and sparsity.shares(model)["all"] < 0.5


def test_a_model_without_layers_of_known_names_is_refused():
    with pytest.raises(InputError, match="recover.gradual: this model has no layers of known names"):
        sparsity.Mask(torch.nn.Linear(4, 4), GRADUAL, steps=8)


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
    assert any((weight != weight.bfloat16()).any() for weight in scaled.state_dict().values()), "rounded to bfloat16"
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
