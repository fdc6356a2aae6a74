"""The cut of a model: what is left of it computes as before, and llama.cpp reads its texts alike."""

import json
import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from helpers.records import make_record
from ingot.converting.llama_cpp_tools import SPLITTING
from ingot.errors import InputError
from ingot.io.records import read_json, write_json, write_records
from ingot.settings.base import CutVocabulary
from ingot.text import chat
from workflow_scripts.base.check_base import cutting_problems
from workflow_scripts.base.cut_vocabulary import cut_vocabulary
from workflow_scripts.gguf.convert import convert

pytestmark = pytest.mark.graph


def cut(received, folder, most=400, domains=()):
    records = [make_record(f"What is {i} + {i}?", f"It is {2 * i}.") for i in range(40)]
    write_records(folder / "train.jsonl", records[:30])
    write_records(folder / "valid.jsonl", records[30:])
    write_json(folder / "origin.json", {"kind": "local", "parameters": 1})
    files = [folder / name for name in ("origin.json", "train.jsonl", "valid.jsonl", "base", "report.json")]
    cut_vocabulary(received, *files, settings=CutVocabulary(most=most), domains=list(domains), length=128)
    return read_json(folder / "report.json")


@pytest.mark.parametrize("tied", [True, False])
def test_the_rest_predicts_as_before(checkpoint, tmp_path, tied):
    received = checkpoint
    if not tied:
        received = shutil.copytree(checkpoint, tmp_path / "received")
        config = json.loads((received / "config.json").read_text())
        (received / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
        network = AutoModelForCausalLM.from_pretrained(received)
        torch.nn.init.normal_(network.lm_head.weight)
        network.save_pretrained(received)
    report = cut(received, tmp_path)
    tokenizers = [AutoTokenizer.from_pretrained(folder) for folder in (received, tmp_path / "base")]
    networks = [AutoModelForCausalLM.from_pretrained(folder).eval() for folder in (received, tmp_path / "base")]
    vocabularies = [tokenizer.get_vocab() for tokenizer in tokenizers]
    old_ids = [vocabularies[0][token] for token, _ in sorted(vocabularies[1].items(), key=lambda one: one[1])]
    ids = [chat.encode(tokenizer, "What is 3 + 3?", "It is 6.").ids for tokenizer in tokenizers]
    assert [old_ids[i] for i in ids[1]] == ids[0]
    with torch.no_grad():
        whole, rest = (network(torch.tensor([one])).logits[0] for network, one in zip(networks, ids, strict=True))
    torch.testing.assert_close(rest, whole[:, old_ids])
    assert networks[1].config.eos_token_id == tokenizers[1].eos_token_id
    facts = report["vocabulary"]
    assert facts["tokens"] == {"before": 512, "after": len(old_ids)} and len(old_ids) < 400
    assert facts["parameters"]["after"] == report["parameters"] == networks[1].num_parameters()
    assert facts["held_out"]["growth"] >= 1 and facts["kept_share"] == 1
    assert facts["held_out"]["after"]["bits_per_byte"] > 0


def test_llama_cpp_reads_the_texts_alike(checkpoint, tmp_path):
    cut(checkpoint, tmp_path)
    convert(tmp_path / "base", tmp_path / "F16.gguf", name="cut")  # which compares tokens of texts of many kinds


def test_how_llama_cpp_splits_texts_is_known_from_before_the_cut(checkpoint, tmp_path):
    """A tokenizer that llama.cpp would recognise only with its whole vocabulary: here one that it is told about."""
    received = shutil.copytree(checkpoint, tmp_path / "received")
    spec = json.loads((received / "tokenizer.json").read_text())
    spec["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    (received / "tokenizer.json").write_text(json.dumps(spec))
    cut(received, tmp_path)
    assert SPLITTING not in read_json(tmp_path / "base/tokenizer_config.json")  # unknown to llama.cpp, before as well
    config = read_json(tmp_path / "base/tokenizer_config.json")
    write_json(tmp_path / "base/tokenizer_config.json", config | {SPLITTING: "gpt-2"})
    convert(tmp_path / "base", tmp_path / "F16.gguf", name="cut")


def test_a_sample_that_lacks_a_domain_is_refused(checkpoint, tmp_path):
    with pytest.raises(InputError, match="has no record of poetry, so its tokens would be cut"):
        cut(checkpoint, tmp_path, domains=["poetry"])


def test_what_cannot_be_cut_is_said_before_any_data_are_read(checkpoint, tmp_path):
    assert cutting_problems(checkpoint, 300) == []
    (told,) = cutting_problems(checkpoint, 200)
    assert told.startswith("cut_vocabulary: 200 tokens are too few: bytes and special tokens alone are 2")
    received = shutil.copytree(checkpoint, tmp_path / "received")
    (received / "tokenizer.model").write_bytes(b"x")
    assert cutting_problems(received, 400) == [
        "cut_vocabulary: a SentencePiece vocabulary cannot be cut; set it to null"
    ]
