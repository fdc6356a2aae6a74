import json
import shutil

import pytest

from helpers.models import answer_of
from helpers.shared import made_once
from ingot.converting.gguf_types import file_type
from ingot.converting.llama_cpp_tools import refuse_remote_code
from ingot.errors import InputError
from ingot.inference.gguf_model import check_gguf, open_gguf
from ingot.settings.gguf import Importance
from workflow_scripts.gguf import importance as script
from workflow_scripts.gguf.convert import convert
from workflow_scripts.gguf.quantize import quantize

pytestmark = pytest.mark.graph


@pytest.fixture(scope="module")
def matrix(checkpoint, tmp_path_factory):
    from helpers.records import make_record
    from ingot.io.records import write_records
    from workflow_scripts.gguf.importance import importance

    folder = tmp_path_factory.mktemp("importance")
    write_records(folder / "train.jsonl", [make_record(f"What is {i}?", str(i)) for i in range(8)])
    importance(
        checkpoint,
        folder / "train.jsonl",
        folder / "matrix.safetensors",
        folder / "work",
        settings=Importance(records=8, length=64),
        threads=1,
    )
    return folder / "matrix.safetensors"


def test_the_importance_of_every_matrix_is_measured_as_llama_cpp_defines_it(checkpoint, matrix):
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from helpers.records import make_record
    from ingot.text import chat

    found = load_file(matrix)
    assert len(found) == 14
    tokenizer, model = AutoTokenizer.from_pretrained(checkpoint), AutoModelForCausalLM.from_pretrained(checkpoint)
    inputs = []
    model.model.layers[0].mlp.up_proj.register_forward_hook(lambda m, i, o: inputs.append(i[0][0].detach()))
    for i in range(8):
        record = make_record(f"What is {i}?", str(i))
        ids = chat.encode(tokenizer, record["instruction"], record["response"]).ids
        with torch.no_grad():
            model(torch.tensor([ids]))
    torch.testing.assert_close(found["blk.0.ffn_up.weight"], torch.cat(inputs).square().mean(0), rtol=1e-3, atol=1e-5)


def test_llama_cpp_reads_text_as_the_same_tokens(f16, checkpoint):
    model = open_gguf(f16, checkpoint, 128, 1)
    for text in ("Sort: 3 1 2", "def f(a):\n    return a", "naïve 数 🙂", "  two  spaces\t\n\n", "don't I'LL 2024"):
        assert model.tokenize(text) == model.tokenizer(text)["input_ids"]


def test_an_answer_ends_at_the_end_token_or_at_the_limit(f16, checkpoint):
    answer = answer_of(open_gguf(f16, checkpoint, 128, 1), "What is 1?", 5)
    assert not answer.stopped or len(answer.text) < 200


@pytest.mark.parametrize("quant", ["Q8_0", "Q5_K_M", "IQ4_XS"])
def test_quantising_with_the_matrix_makes_it_smaller_and_it_still_runs(f16, matrix, checkpoint, tmp_path, quant):
    quantize(f16, [matrix], [], tmp_path / "q.gguf", quant=quant, threads=1)
    assert (tmp_path / "q.gguf").stat().st_size < 0.6 * f16.stat().st_size
    assert open_gguf(tmp_path / "q.gguf", checkpoint, 128, 1).logits([3, 4, 5]).shape == (3, 512)


def test_the_matrix_is_really_used(f16, matrix, tmp_path):
    import numpy as np
    from safetensors.numpy import load_file, save_file

    skewed = {name: np.geomspace(1e-3, 1e3, v.size).astype(np.float32) for name, v in load_file(matrix).items()}
    save_file(skewed, tmp_path / "skewed.safetensors")
    for name, path in (("a", matrix), ("b", tmp_path / "skewed.safetensors")):
        quantize(f16, [path], [], tmp_path / f"{name}.gguf", quant="IQ4_XS", threads=1)
    assert (tmp_path / "a.gguf").read_bytes() != (tmp_path / "b.gguf").read_bytes()


def test_an_unknown_type_lists_the_known_ones():
    assert file_type("F16") == 1
    with pytest.raises(InputError, match=r"no type 'Q9_X'; it has .*IQ4_XS"):
        file_type("Q9_X")


@pytest.mark.parametrize("length", [0, 50, 5000, -1])
def test_a_cut_off_file_is_refused_by_name(f16, matrix, tmp_path, length):
    (tmp_path / "cut.gguf").write_bytes(f16.read_bytes()[:length])
    with pytest.raises(InputError, match=r"cut\.gguf"):
        check_gguf(tmp_path / "cut.gguf")
    with pytest.raises(InputError, match=r"cut\.gguf"):
        quantize(tmp_path / "cut.gguf", [matrix], [], tmp_path / "q.gguf", quant="Q8_0", threads=1)


def test_a_model_that_brings_code_is_not_converted(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "evil")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "evil.py"}}))
    with pytest.raises(InputError, match="runs no code from models"):
        convert(folder, tmp_path / "x.gguf", name="x")
    refuse_remote_code(checkpoint)


def test_what_the_converter_says_of_a_broken_model_reaches_the_user(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match=r"convert_hf_to_gguf\.py cannot convert .*broken"):
        convert(folder, tmp_path / "x.gguf", name="x")


@pytest.fixture(scope="session")
def pruned(shared, checkpoint, tmp_path_factory):
    """The checkpoint with two zeros of every four weights, as a GGUF file of type F16."""

    def make(path):
        from transformers import AutoModelForCausalLM

        from ingot.text.tokenizer_files import copy_tokenizer
        from ingot.training.sparsity import pruned_matrices

        folder = tmp_path_factory.mktemp("pruned")
        model = AutoModelForCausalLM.from_pretrained(checkpoint)
        for matrix in pruned_matrices(model).values():
            fours = matrix.data.view(-1, 4)
            fours.scatter_(1, fours.abs().argsort(1)[:, :2], 0)
        model.save_pretrained(folder)
        copy_tokenizer(checkpoint, folder)
        convert(folder, path, name="pruned")

    return made_once(shared / "models/pruned.gguf", make)


@pytest.mark.parametrize(("quant", "sparse"), [("IQ4_NL", True), ("Q8_0", True), ("Q5_0", False)])
def test_a_model_with_two_of_four_zeros_packs_smaller_than_by_zstd(pruned, tmp_path, quant, sparse):
    from ingot.io.container import pack_file, read_header, unpack_file
    from ingot.io.records import read_json
    from ingot.settings.gguf import Pack
    from workflow_scripts.gguf.pack import pack

    quantize(pruned, [], [], tmp_path / "q.gguf", quant=quant, threads=1)
    pack(tmp_path / "q.gguf", tmp_path / "q.zst", tmp_path / "pack.json", settings=Pack(level=19), threads=1)
    plainly = pack_file(tmp_path / "q.gguf", tmp_path / "plain.zst", 19, 1)
    unpack_file(tmp_path / "q.zst", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "q.gguf").read_bytes()
    turned = [count for kind, count in read_header(tmp_path / "q.zst").segments if kind.endswith("2:4")]
    assert (len(turned) == 14) == sparse
    packed = read_json(tmp_path / "pack.json")["packed_bytes"]
    assert plainly["bytes"] > packed
    if sparse:  # a seventh of what zstd makes of these tensors, less a header
        assert packed < (tmp_path / "plain.zst").stat().st_size - 0.05 * sum(turned)
    else:
        assert packed == (tmp_path / "plain.zst").stat().st_size


def test_an_importance_that_was_killed_goes_on_and_ends_with_the_same_bytes(checkpoint, matrix, tmp_path, monkeypatch):
    def measure():
        train = matrix.parent / "train.jsonl"
        settings = Importance(records=8, length=64)
        script.importance(checkpoint, train, tmp_path / "matrix", tmp_path / "work", settings=settings, threads=1)

    encode, encoded = script.chat.encode, []

    def encode_or_die(*given):
        encoded.append(given)
        if len(encoded) == 6:
            raise KeyboardInterrupt
        return encode(*given)

    monkeypatch.setattr(script, "SECONDS", 0)
    monkeypatch.setattr(script.chat, "encode", encode_or_die)
    with pytest.raises(KeyboardInterrupt):
        measure()
    measure()
    assert len(encoded) == 9, "the sixth again, and what came after it"
    assert (tmp_path / "matrix").read_bytes() == matrix.read_bytes()
