import json
import shutil

import pytest

from ingot.errors import InputError
from workflow_scripts.base.fetch_tokenizer import fetch_tokenizer


@pytest.fixture
def folder(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "mine")
    return tmp_path / "mine"


def bring(folder, tmp_path):
    fetch_tokenizer([folder], tmp_path / "tokenizer", model=str(folder))
    return tmp_path / "tokenizer"


def test_the_tokenizer_of_a_folder_is_taken_as_it_is(folder, tokenizer, tmp_path):
    from tokenizers import Tokenizer

    brought = Tokenizer.from_file(str(bring(folder, tmp_path) / "tokenizer.json"))
    text = "Sort: 3 1 2, na\u00efve"
    assert brought.encode(text).ids == tokenizer(text)["input_ids"]


def test_the_tokenizer_of_a_model_is_taken_without_its_weights(checkpoint, tmp_path):
    brought = bring(checkpoint, tmp_path)
    assert (brought / "tokenizer.json").exists()
    assert not list(brought.glob("*.safetensors"))


def test_code_of_a_tokenizer_is_not_run(folder, tmp_path):
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": {"AutoTokenizer": ["evil.It", None]}}))
    with pytest.raises(InputError, match="auto_map"):
        bring(folder, tmp_path)


@pytest.mark.parametrize("left", [(), ("tokenizer.json",)])
def test_a_folder_without_a_tokenizer_is_named(folder, tmp_path, left):
    for path in folder.iterdir():
        if path.name not in left:
            path.unlink()
    with pytest.raises(InputError, match=r"mine: no tokenizer_config\.json"):
        bring(folder, tmp_path)


def test_a_folder_that_is_not_there_is_named(folder, tmp_path):
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="mine: no tokenizer_config"):
        bring(folder, tmp_path)
