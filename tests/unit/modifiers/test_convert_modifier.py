import numpy as np
import pytest

from ingot.converting.gguf_files import cut_rank, recast
from ingot.errors import InputError
from workflow_scripts.modifiers.convert_modifier import candidates, choose, compare_types

SIZES = {"F32": 400, "F16": 200, "Q8_0": 120, "Q4_0": 70}
RIGHT = {
    "F32": [True] * 100,
    "F16": [True] * 100,
    "Q8_0": [True] * 99 + [False],
    "Q4_0": [True] * 50 + [False] * 50,
}


def lines(*types):
    return compare_types({name: RIGHT[name] for name in ("F32", *types)}, SIZES)


def test_the_smallest_type_that_answers_as_well_is_taken():
    found = lines("Q8_0", "F16", "Q4_0")
    assert [line["type"] for line in found] == ["Q4_0", "Q8_0", "F16", "F32"]
    types = ["Q4_0", "Q8_0", "F16"]
    assert choose(found, types, None, 1) == "Q8_0"
    assert choose(found, types, None, 0) == "F16"
    assert choose(found, types, 70, 50) == "Q4_0"


def test_no_type_within_budget_and_gate_is_an_error_that_shows_all_of_them():
    with pytest.raises(InputError, match=r"fits into 100 bytes and loses at most 1 points \(Q8_0: 120 bytes, -1.0"):
        choose(lines("Q8_0"), ["Q8_0"], 100, 1)
    with pytest.raises(InputError, match=r"no type loses at most 1 .*Q4_0: 70 bytes, -50.0 points"):
        choose(lines("Q4_0"), ["Q4_0"], None, 1)


def test_a_file_is_recast_with_its_fields_and_rows_that_do_not_fit_are_f16(tmp_path):
    from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
    from gguf.quants import dequantize

    first, second = (np.random.default_rng(0).normal(size=shape).astype(np.float32) for shape in ((16, 64), (64, 16)))
    writer = GGUFWriter(tmp_path / "f32.gguf", "llama")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 32.0)
    writer.add_array("adapter.words", ["a", "b"])
    writer.add_tensor("a", first)
    writer.add_tensor("b", second)
    for write in (
        writer.write_header_to_file,
        writer.write_kv_data_to_file,
        writer.write_tensors_to_file,
        writer.close,
    ):
        write()
    recast(tmp_path / "f32.gguf", tmp_path / "q8.gguf", "Q8_0")
    reader = GGUFReader(tmp_path / "q8.gguf")
    fields = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    assert fields == {
        "general.architecture": "llama",
        "adapter.type": "lora",
        "adapter.lora.alpha": 32.0,
        "adapter.words": ["a", "b"],
    }
    kinds = {tensor.name: tensor.tensor_type for tensor in reader.tensors}
    assert kinds == {"a": GGMLQuantizationType.Q8_0, "b": GGMLQuantizationType.F16}
    for tensor, before in zip(reader.tensors, (first, second), strict=True):
        after = dequantize(tensor.data, tensor.tensor_type).reshape(before.shape)
        assert np.abs(after - before).max() < 0.02


def product(lora):
    """What a LoRA file adds to a matrix, as llama.cpp computes it, and its rank."""
    from gguf import GGUFReader

    reader = GGUFReader(lora)
    tensors = {tensor.name: tensor.data.astype(np.float64) for tensor in reader.tensors}
    down, up = tensors["x.weight.lora_a"], tensors["x.weight.lora_b"]
    return reader.fields["adapter.lora.alpha"].contents() / len(down) * up @ down, len(down)


def test_a_lower_rank_is_the_nearest_that_there_is(tmp_path):
    from gguf import GGUFWriter

    r = np.random.default_rng(0)
    left, right = np.linalg.qr(r.normal(size=(48, 8)))[0], np.linalg.qr(r.normal(size=(64, 8)))[0]
    whole = (left * np.array([9, 7, 5, 3, 0.4, 0.3, 0.2, 0.1])) @ right.T
    turn = r.normal(size=(8, 8))  # the factors of an adapter are no singular vectors
    writer = GGUFWriter(tmp_path / "whole.gguf", "llama")
    writer.add_float32("adapter.lora.alpha", 16.0)
    writer.add_tensor("x.weight.lora_a", (np.linalg.inv(turn) @ (left.T @ whole)).astype(np.float32))
    writer.add_tensor("x.weight.lora_b", (left @ turn).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    before, rank = product(tmp_path / "whole.gguf")
    assert rank == 8
    assert np.allclose(before, 2 * whole, atol=1e-4)
    written = candidates(tmp_path / "whole.gguf", ["F32", "F16"], [4, 2], tmp_path)
    assert sorted(written) == ["F16", "F16 of rank 2", "F16 of rank 4", "F32", "F32 of rank 2", "F32 of rank 4"]
    for rank, missing in ((4, 0.4), (2, 5)):
        after, of_file = product(written[f"F32 of rank {rank}"])
        assert of_file == rank
        assert np.linalg.norm(after - before, 2) == pytest.approx(2 * missing, rel=1e-3)
    down, up = cut_rank(np.ones((8, 64)), np.ones((6, 8)), 7)  # more than there are outputs
    assert (down.shape, up.shape) == ((6, 64), (6, 6))
    assert np.allclose(8 / 6 * up @ down, np.ones((6, 8)) @ np.ones((8, 64)), atol=1e-4)
    sizes = {name: path.stat().st_size for name, path in written.items()}
    assert sizes["F16 of rank 2"] < sizes["F16 of rank 4"] < sizes["F16"]
