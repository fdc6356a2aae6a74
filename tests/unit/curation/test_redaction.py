"""What is listed of rejected records holds no secret."""

import json

import pytest

from helpers.curation import read_file, results, three
from ingot.curation.redaction import redacted

TOKEN = "ghp_" + "a1B2" * 9
KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIB" * 400
SECRETS = [TOKEN, "sk-proj-" + "x1" * 20, "AKIA" + "ABCD1234" * 2, "hf_" + "q" * 34, "someone@example.org", KEY]


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_are_masked_at_any_depth(secret):
    value = {"a": [f"x {secret} y", 3, None], "b": {"c": secret}}
    said = json.dumps(redacted(value, "US"))
    assert secret[10:] not in said
    assert "[" in said
    assert redacted({"a": ["plain", 1.5]}, "US") == {"a": ["plain", 1.5]}


@pytest.mark.parametrize("before", ["token:\\n", "token%3D", "x", "(", "\\u003d"])
def test_a_secret_is_masked_wherever_it_stands(before):
    assert TOKEN[:12] not in redacted(f"a {before}{TOKEN}", "US")


def test_no_list_of_a_step_holds_what_was_rejected_for_it(tmp_path):
    """Broken rows at `read`, whole ones at `filter`."""
    from helpers.settings_of import settings_of
    from workflow_scripts.data.filter import filter

    rows = [{"question": f"What is {i}? Use {TOKEN} or call {SECRETS[1]}.", "answer": "ok, done"} for i in range(5)]
    broken = [f'{{"question": "{TOKEN}", "answer": ', f'["{TOKEN}"]', json.dumps({"text": TOKEN}), "x" * 190 + TOKEN]
    (tmp_path / "s.jsonl").write_text("".join(f"{line}\n" for line in [*map(json.dumps, rows), *broken]))
    kept, rejected, _ = read_file(tmp_path / "s.jsonl", tmp_path)
    assert (len(kept), len(rejected)) == (5, 4)
    assert all(row["record"]["row"] for row in rejected), "where it is can be told"
    assert TOKEN[:12] not in json.dumps(rejected)
    from ingot.io.records import write_records

    write_records(tmp_path / "records.jsonl", kept)
    paths = three(tmp_path, "filtered")
    filter(tmp_path / "records.jsonl", tokenizer_folder(tmp_path), *paths, settings=settings_of("tiny").filter)
    kept, rejected, _ = results(paths)
    assert not kept
    assert {row["filter"] for row in rejected} == {"secrets"}
    assert TOKEN[:12] not in json.dumps(rejected)
    assert SECRETS[1][:12] not in json.dumps(rejected)


def tokenizer_folder(folder):
    """A tokenizer that counts words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    (folder / "tokenizer").mkdir()
    tokenizer.save(str(folder / "tokenizer/tokenizer.json"))
    return folder / "tokenizer"
