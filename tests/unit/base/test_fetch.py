import json
import shutil

import pytest

from ingot.errors import InputError
from ingot.io.records import read_json
from workflow_scripts.base.fetch import fetch, from_hub


def bring(folder, tmp_path, template=None):
    fetch(
        [folder],
        tmp_path / "base",
        tmp_path / "report.json",
        kind="local",
        model=str(folder),
        revision=None,
        template=template,
        dtype="float32",
    )
    return tmp_path / "base"


@pytest.fixture
def copy(checkpoint, tmp_path):
    return shutil.copytree(checkpoint, tmp_path / "copy")


def test_a_local_checkpoint_is_taken_as_it_is(checkpoint, tmp_path):
    from safetensors.torch import load_file

    base = bring(checkpoint, tmp_path)
    before, after = (load_file(folder / "model.safetensors") for folder in (checkpoint, base))
    assert all((before[name] == after[name]).all() for name in before)
    assert read_json(tmp_path / "report.json")["type"] == "llama"


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_cut_off_weights_are_named(copy, tmp_path):
    data = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"model\.safetensors: cut off or damaged"):
        bring(copy, tmp_path)


def test_pickled_weights_are_not_loaded(copy, tmp_path):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(InputError, match="pickled weights"):
        bring(copy, tmp_path)


def test_code_of_a_model_is_not_run(copy, tmp_path):
    edit(copy / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Tokenizer", None]})
    with pytest.raises(InputError, match="auto_map"):
        bring(copy, tmp_path)


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: no config\.json"):
        bring(tmp_path / "empty", tmp_path)


def test_a_tokenizer_without_a_template_is_refused_unless_one_is_named(copy, tmp_path):
    from transformers import AutoTokenizer

    from ingot.text import chat

    (copy / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match=r"no chat template.*`base\.template`"):
        bring(copy, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(bring(copy, tmp_path, "alpaca"))
    assert chat.prompt_text(tokenizer, "Why?") == "### Instruction:\nWhy?\n\n### Response:\n"


def test_a_model_keeps_its_own_template(copy, tmp_path):
    with pytest.raises(InputError, match=r"base\.template: .*of its own; set it to null"):
        bring(copy, tmp_path, "alpaca")


def test_the_end_token_is_the_one_that_ends_an_answer(copy, tmp_path):
    """Gemma and Phi name the end of a text, which their templates never write after an answer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    edit(copy / "tokenizer_config.json", eos_token="<|pad|>")
    base = bring(copy, tmp_path)
    tokenizer, model = AutoTokenizer.from_pretrained(base), AutoModelForCausalLM.from_pretrained(base)
    assert tokenizer.eos_token == "<|im_end|>"
    assert model.config.eos_token_id == model.generation_config.eos_token_id == tokenizer.eos_token_id


def test_a_sentencepiece_model_comes_along(copy, tmp_path):
    """llama.cpp makes the vocabulary of Gemma and Phi of it, and transformers does not write it."""
    from ingot.text.tokenizer_files import copy_tokenizer

    (copy / "tokenizer.model").write_bytes(b"pieces")
    base = bring(copy, tmp_path)
    copy_tokenizer(base, tmp_path / "next")
    for name in ("tokenizer.model", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (tmp_path / "next" / name).read_bytes() == (base / name).read_bytes()


@pytest.mark.parametrize("pad", ["<|im_end|>", None])
def test_a_pad_token_that_is_the_end_token_or_none_is_no_hindrance(pad, copy, tmp_path):
    """TRL's collator goes by place, so the model learns its end token although that is the padding, too."""
    from transformers import AutoTokenizer
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    from ingot.training.sft import dataset

    edit(copy / "tokenizer_config.json", pad_token=pad)
    tokenizer = AutoTokenizer.from_pretrained(bring(copy, tmp_path))
    end = tokenizer.eos_token_id
    assert tokenizer.pad_token_id == end
    records = [{"instruction": "Q", "response": answer} for answer in ("A", "A longer answer")]
    rows = dataset(tokenizer, records, 100)
    batch = DataCollatorForLanguageModeling(pad_token_id=end)([dict(row) for row in rows])
    short, long = batch["labels"].tolist()
    assert long[-1] == end
    length = len(rows[0]["input_ids"])
    assert short[length - 1] == end and set(short[length:]) == {-100}


def test_a_hub_model_that_cannot_be_had_is_said_at_once(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"nobody/nothing at revision abc.*(cannot be reached|refuses)"):
        from_hub("nobody/nothing", "abc", download=False)


def test_a_hub_model_in_the_local_cache_is_used_without_a_network(checkpoint, tmp_path, monkeypatch):
    """The cache is laid out as huggingface_hub lays it out."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--team--model"
    shutil.copytree(checkpoint, repository / "snapshots/0123456789012345678901234567890123456789")
    (repository / "refs").mkdir()
    snapshot = from_hub("team/model", "0123456789012345678901234567890123456789", download=False)
    assert (snapshot / "model.safetensors").exists()
