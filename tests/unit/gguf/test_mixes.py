"""Mixes of types: each matrix gets the bits that it is worth, exactly, and the file holds what was chosen."""

import itertools
import random

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from transformers import AutoModelForCausalLM, AutoTokenizer

from helpers.records import make_record
from helpers.shared import made_once
from ingot.converting.gguf_types import file_type, tensor_type
from ingot.converting.mixes import TYPES, best_mix, most_frequent
from ingot.inference.gguf_model import open_gguf
from ingot.io.records import read_json, write_json, write_records
from ingot.quantities import bits_of
from ingot.settings.gguf import Importance, Sensitivity
from ingot.text import chat
from workflow_scripts.gguf import sensitivity as script
from workflow_scripts.gguf.importance import importance
from workflow_scripts.gguf.quantize import quantize

pytestmark = pytest.mark.graph


@pytest.fixture(scope="module")
def given(shared, checkpoint, f16):
    """A folder with training records, the importance matrix of a model, and what each of its matrices loses."""

    def make(folder):
        write_records(folder / "train.jsonl", [make_record(f"What is {i}?", str(i)) for i in range(8)])
        matrix, looked = folder / "matrix.safetensors", Importance(records=8, length=64)
        importance(checkpoint, folder / "train.jsonl", matrix, folder / "work", settings=looked, threads=1)
        measured(checkpoint, f16, folder, folder / "sensitivity.json")

    folder = shared / "models/mixes"
    folder.parent.mkdir(exist_ok=True)
    return made_once(folder, lambda path: (path.mkdir(), make(path)))


def measured(checkpoint, f16, folder, report):
    looked, files = Sensitivity(records=4, length=64), [folder / "train.jsonl", folder / "matrix.safetensors"]
    script.sensitivity(checkpoint, f16, *files, report, report.parent / "work-mix", settings=looked, threads=1)


def test_bits_are_read_from_the_name():
    assert bits_of("MIX_2_25") == 2.25
    assert bits_of("IQ2_XXS") == bits_of("MIX_2_5") == bits_of("XMIX_2_25") == bits_of("MIX_2_25\n") == 0


@pytest.mark.parametrize("seed", range(5))
def test_no_other_choice_loses_less_in_as_many_bytes(seed):
    draw = random.Random(seed)
    costs = {
        tensor: {
            quant: {"bytes": draw.randint(1, 100) * size, "kl": draw.random() / size} for quant, size in sizes.items()
        }
        for tensor, sizes in zip("abcde", [{"Q2_K": 1, "Q4_K": 2, "Q8_0": 4}] * 5, strict=True)
    }
    every = [
        (
            sum(costs[tensor][quant]["bytes"] for tensor, quant in zip(costs, quants, strict=True)),
            sum(costs[tensor][quant]["kl"] for tensor, quant in zip(costs, quants, strict=True)),
        )
        for quants in itertools.product(["Q2_K", "Q4_K", "Q8_0"], repeat=5)
    ]
    least = min(size for size, _ in every)
    for most in (least, 1.3 * least, 2 * least, 10 * least):
        mix = best_mix(costs, most)
        assert sum(costs[tensor][quant]["bytes"] for tensor, quant in mix.items()) <= most
        best = min(kl for size, kl in every if size <= most)
        assert sum(costs[tensor][quant]["kl"] for tensor, quant in mix.items()) == pytest.approx(best)
    smallest = best_mix(costs, least - 1)
    assert sum(costs[tensor][quant]["bytes"] for tensor, quant in smallest.items()) == least


def test_the_type_of_most_bytes_names_the_file():
    costs = {tensor: {"Q4_K": {"bytes": 9, "kl": 0}, "Q8_0": {"bytes": 17, "kl": 0}} for tensor in "abc"}
    assert most_frequent({"a": "Q4_K", "b": "Q4_K", "c": "Q8_0"}, costs) == "Q4_K"


@pytest.mark.parametrize("quant", TYPES)
def test_every_type_of_a_matrix_can_name_a_file(quant):
    assert file_type(quant) >= 0
    assert tensor_type(quant) >= 0


def test_every_matrix_is_measured_and_finer_types_lose_less(given, f16):
    found = read_json(given / "sensitivity.json")
    tensors = {tensor.name: tensor for tensor in GGUFReader(f16).tensors}
    assert set(found["tensors"]) == {name for name, tensor in tensors.items() if len(tensor.shape) == 2}
    assert found["weights"] == sum(int(tensor.n_elements) for tensor in tensors.values())
    assert found["kept_bytes"] == sum(int(one.n_bytes) for one in tensors.values() if len(one.shape) == 1)
    for name, types in found["tensors"].items():
        assert types["Q8_0"]["kl"] < types["Q4_K"]["kl"] < types["IQ2_S"]["kl"], name
        assert types["Q8_0"]["bytes"] == tensors[name].n_elements * 34 // 32
    # Those of the embeddings have no importance, and ggml makes these types only by it.
    assert "IQ2_XXS" in found["tensors"]["blk.0.ffn_up.weight"]
    assert not {"IQ2_XXS", "IQ2_XS", "IQ1_S"} & set(found["tensors"]["token_embd.weight"])


def test_what_a_matrix_loses_is_what_llama_cpp_and_torch_see(given, checkpoint, f16, tmp_path):
    """The measured type of one matrix, against a file in which only this one is rounded."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    name, found = "blk.1.ffn_down.weight", read_json(given / "sensitivity.json")
    costs = {tensor: {"IQ2_S" if tensor == name else "Q8_0": {"bytes": 1, "kl": 1}} for tensor in found["tensors"]}
    write_json(tmp_path / "one.json", {**found, "tensors": costs})
    quantize(
        f16, [given / "matrix.safetensors"], [tmp_path / "one.json"], tmp_path / "one.gguf", quant="MIX_9_00", threads=1
    )
    network = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    rounded = open_gguf(tmp_path / "one.gguf", checkpoint, 128, 1)
    divergences = []
    for i in range(4):
        ids = chat.encode(tokenizer, f"What is {i}?", str(i)).ids
        with torch.no_grad():
            wanted = torch.log_softmax(network(torch.tensor([ids])).logits[0], -1)
        given_by_file = torch.log_softmax(torch.tensor(np.array(rounded.logits(ids))), -1)
        divergences.append((wanted.exp() * (wanted - given_by_file)).sum(-1))
    assert float(torch.cat(divergences).mean()) == pytest.approx(found["tensors"][name]["IQ2_S"]["kl"], rel=0.2)


@pytest.mark.parametrize("bits", ["2_60", "4_00", "6_00"])
def test_the_file_holds_the_chosen_types_in_so_many_bits(given, checkpoint, f16, tmp_path, bits):
    files = [[given / "matrix.safetensors"], [given / "sensitivity.json"], tmp_path / "mix.gguf"]
    quantize(f16, *files, quant=f"MIX_{bits}", threads=1)
    found = read_json(given / "sensitivity.json")
    most = bits_of(f"MIX_{bits}") / 8 * found["weights"]
    mix = best_mix(found["tensors"], most - found["kept_bytes"])
    tensors = GGUFReader(tmp_path / "mix.gguf").tensors
    assert {tensor.name: tensor.tensor_type.name for tensor in tensors if tensor.name in mix} == mix
    assert 0.9 * most < sum(int(tensor.n_bytes) for tensor in tensors) <= most
    assert open_gguf(tmp_path / "mix.gguf", checkpoint, 128, 1).logits([3, 4, 5]).shape == (3, 512)


def test_fewer_bits_than_the_widths_allow_give_the_smallest_types_and_a_warning(given, f16, tmp_path, caplog):
    files = [[given / "matrix.safetensors"], [given / "sensitivity.json"], tmp_path / "mix.gguf"]
    quantize(f16, *files, quant="MIX_1_00", threads=1)
    assert "MIX_1_00: the widths of this model take 1.1" in caplog.text
    types = {tensor.tensor_type.name for tensor in GGUFReader(tmp_path / "mix.gguf").tensors}
    assert types == {"Q1_0", "F32"}


def test_a_measurement_that_was_killed_goes_on_and_ends_with_the_same_bytes(
    given, checkpoint, f16, tmp_path, monkeypatch
):
    monkeypatch.setattr(script, "SECONDS", -1)
    whole, seen = script.costs_of, []

    def costs_of(*arguments):
        seen.append(arguments[2].tensor)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(script, "costs_of", costs_of)
    with pytest.raises(KeyboardInterrupt):
        measured(checkpoint, f16, given, tmp_path / "sensitivity.json")
    measured(checkpoint, f16, given, tmp_path / "sensitivity.json")
    assert len(seen) == len(set(seen)) + 1  # only the one that it was killed in was begun twice
    assert (tmp_path / "sensitivity.json").read_bytes() == (given / "sensitivity.json").read_bytes()
