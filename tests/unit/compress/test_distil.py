"""Distillation through rounding: the file holds exactly what was trained, and a killed training ends with its bytes."""

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from helpers.records import make_record
from helpers.shared import made_once
from ingot.converting import ggml
from ingot.converting.counterparts import counterparts, interleaved
from ingot.errors import InputError
from ingot.inference.gguf_model import open_gguf
from ingot.io.records import read_json, write_records
from ingot.settings.compress import DistilTraining
from ingot.settings.gguf import Importance
from ingot.text import chat
from ingot.training import state
from ingot.training.rounding import RoundedModel
from workflow_scripts.compress.distil import distil
from workflow_scripts.gguf.importance import importance
from workflow_scripts.gguf.quantize import quantize

pytestmark = pytest.mark.graph

TRAINING = DistilTraining(
    steps=8, batch=4, accumulation=2, length=64, learning_rate=0.001, weight_decay=0.0, warmup=1, optimizer="adamw",
    refresh=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def given(shared, checkpoint, f16):
    """A folder with training records, an importance matrix, and the checkpoint as llama.cpp makes it of IQ2_XXS."""

    def make(folder):
        write_records(folder / "train.jsonl", [make_record(f"What is {i} + 1?", str(i + 1)) for i in range(200)])
        looked = {"settings": Importance(records=8, length=64), "threads": 1}
        importance(checkpoint, folder / "train.jsonl", folder / "matrix.safetensors", folder / "work", **looked)
        quantize(f16, [folder / "matrix.safetensors"], [], folder / "start.gguf", quant="IQ2_XXS", threads=1)

    folder = shared / "models/distil"
    folder.parent.mkdir(exist_ok=True)
    return made_once(folder, lambda path: (path.mkdir(), make(path)))


def distilled(given, checkpoint, f16, folder, **changes):
    folder.mkdir(exist_ok=True)
    distil(
        checkpoint,
        given / "train.jsonl",
        f16,
        given / "start.gguf",
        [given / "matrix.safetensors"],
        folder / "checkpoint",
        folder / "made.gguf",
        folder / "report.json",
        training=TRAINING.model_copy(update=changes),
        difficulties=["easy"],
        dtype="float32",
        work=folder / "work",
        seed=0,
        threads=1,
    )
    return folder


@pytest.fixture(scope="module")
def made(shared, given, checkpoint, f16):
    return made_once(shared / "models/distilled", lambda folder: distilled(given, checkpoint, f16, folder))


@pytest.mark.parametrize("quant", ["IQ2_XXS", "IQ1_M", "Q4_K_M", "TQ2_0", "Q8_0"])
def test_bytes_and_weights_are_those_of_llama_cpp(given, f16, tmp_path, quant):
    quantize(f16, [given / "matrix.safetensors"], [], tmp_path / "made.gguf", quant=quant, threads=1)
    weights = {tensor.name: tensor.data.astype(np.float32) for tensor in GGUFReader(f16).tensors}
    matters, seen = load_file(given / "matrix.safetensors"), 0
    for tensor in GGUFReader(tmp_path / "made.gguf").tensors:
        if tensor.tensor_type.name == "F32":
            continue
        kind, wanted = int(tensor.tensor_type), weights[tensor.name]
        data = ggml.quantize(wanted, kind, matters.get(tensor.name), 2)
        assert data.tobytes() == tensor.data.tobytes(), tensor.name
        some = tensor.data[:4]  # another reader, in Python
        read = dequantize(some, tensor.tensor_type).reshape(len(some), -1)
        np.testing.assert_allclose(ggml.dequantize(data[:4], kind, wanted.shape[1]), read, rtol=1e-6, atol=1e-8)
        seen += 1
    assert seen == 15


def test_a_type_that_needs_the_importance_of_its_inputs_says_so():
    kind = 16  # IQ2_XXS
    with pytest.raises(ValueError, match="iq2_xxs needs an importance matrix"):
        ggml.quantize(np.zeros((1, 256), np.float32), kind, None, 1)


def test_rows_of_queries_and_keys_go_there_and_back():
    weights = np.arange(24).reshape(12, 2)
    order = interleaved(12, 2)
    assert order.tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]
    assert (weights[order][np.argsort(order)] == weights).all()


def test_every_weight_finds_its_tensor_and_one_that_is_another_is_refused(checkpoint, f16):
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    found = counterparts(model, f16)
    assert set(found) == {name for name, _ in model.named_parameters()}
    ordered = {name for name, one in found.items() if one.order is not None}
    assert ordered == {f"model.layers.{i}.self_attn.{kind}_proj.weight" for i in (0, 1) for kind in "qk"}
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[3, 4] += 1
    with pytest.raises(InputError, match=r"model.layers.1.mlp.up_proj.weight is no tensor of .*F16.gguf as it is"):
        counterparts(model, f16)


def test_the_model_computes_with_what_the_file_holds_and_gradients_pass(given, checkpoint, f16):
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    matters = load_file(given / "matrix.safetensors")
    rounded = RoundedModel(model, given / "start.gguf", counterparts(model, f16), matters, 1)
    layer = model.model.layers[0].mlp.up_proj
    _, weights = rounded.rounded("model.layers.0.mlp.up_proj.weight")
    torch.testing.assert_close(layer.weight, torch.from_numpy(weights))
    ids = torch.arange(8)[None]
    model(input_ids=ids, labels=ids).loss.backward()
    assert layer.parametrizations.weight.original.grad.abs().sum() > 0
    assert model.lm_head.weight.data_ptr() != 0 and torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)


def test_file_and_checkpoint_hold_the_same_and_differ_from_the_start(made, given, checkpoint):
    assert (made / "made.gguf").stat().st_size == (given / "start.gguf").stat().st_size
    assert (made / "made.gguf").read_bytes() != (given / "start.gguf").read_bytes()
    types = [
        {tensor.name: tensor.tensor_type for tensor in GGUFReader(folder).tensors}
        for folder in (made / "made.gguf", given / "start.gguf")
    ]
    assert types[0] == types[1]
    tokenizer = AutoTokenizer.from_pretrained(made / "checkpoint")
    network = AutoModelForCausalLM.from_pretrained(made / "checkpoint", dtype=torch.float32)
    ids = chat.encode(tokenizer, "What is 5 + 1?", "6").ids
    with torch.no_grad():
        wanted = torch.log_softmax(network(torch.tensor([ids])).logits[0], -1)
    given_by_file = torch.log_softmax(
        torch.tensor(np.array(open_gguf(made / "made.gguf", checkpoint, 128, 1).logits(ids))), -1
    )
    # llama.cpp rounds activations to 8 bits.
    assert (wanted.exp() * (wanted - given_by_file)).sum(-1).mean() < 1e-3
    assert len(read_json(made / "report.json")["losses"]) == 2


def test_the_loss_falls(given, checkpoint, f16, tmp_path):
    folder = distilled(given, checkpoint, f16, tmp_path / "made", steps=24, learning_rate=0.004)
    losses = [row["loss"] for row in read_json(folder / "report.json")["losses"]]
    assert losses[-1] < 0.7 * losses[0]


def test_a_training_that_was_killed_ends_with_the_same_bytes(made, given, checkpoint, f16, tmp_path, monkeypatch):
    monkeypatch.setattr(state, "LEAST_SECONDS", -1)
    monkeypatch.setattr(state, "LARGEST_SHARE", 1e9)
    taken, whole = 0, state.TrainingState.save_now_and_then

    def save(self, step, *arguments, **facts):
        nonlocal taken
        taken += 1
        whole(self, step, *arguments, **facts)
        if step == 5 and taken == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(state.TrainingState, "save_now_and_then", save)
    with pytest.raises(KeyboardInterrupt):
        distilled(given, checkpoint, f16, tmp_path / "killed")
    folder = distilled(given, checkpoint, f16, tmp_path / "killed")
    assert taken == 8
    assert (folder / "made.gguf").read_bytes() == (made / "made.gguf").read_bytes()
