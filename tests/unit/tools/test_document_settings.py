"""The page on all settings, the schema for editors, and the comments that both are made of."""

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml

from ingot.settings.defaults import Written, uncommented
from ingot.settings.load import PRESETS
from ingot.tools.document_settings import EDITOR_SCHEMA, PAGE, main

ROOT = Path(__file__).resolve().parents[3]
DEFAULTS = ROOT / PRESETS / "defaults.yaml"
SOURCE = {"name": "a", "domain": "code", "path": "x"}


@pytest.fixture(scope="module")
def schema():
    return json.loads((ROOT / PRESETS / EDITOR_SCHEMA).read_text())


@pytest.fixture(scope="module")
def editor(schema):
    """What an editor checks a file by."""
    return jsonschema.Draft202012Validator(schema)


def settings_of(tmp_path, text):
    (tmp_path / "defaults.yaml").write_text(text)
    return list(Written(tmp_path / "defaults.yaml").settings())


def test_every_default_has_a_comment_that_says_when_to_change_it():
    settings = list(Written(DEFAULTS).settings())
    assert len(settings) > 200
    assert not uncommented(settings)


def test_a_default_without_a_comment_is_found(tmp_path):
    text = "seed: 1\nthreads: 2  # more is faster\npack:\n  level: 3\n"
    assert uncommented(settings_of(tmp_path, text)) == ["seed", "pack.level"]


def test_a_comment_stands_behind_a_value_or_above_it(tmp_path):
    text = """\
# about the file

seed: 1  # behind
# above,
# on two lines
threads: 2
# both
chain: [adapt,
        merge]  # of them
judge:
  # inside
  key_variable: "A#B"  # with a # in it
"""
    comments = {setting.key: setting.comment for setting in settings_of(tmp_path, text)}
    assert comments == {
        "seed": "behind",
        "threads": "above, on two lines",
        "chain": "both of them",
        "judge": "",
        "judge.key_variable": "inside with a # in it",
    }


def test_a_group_that_repeats_another_says_which(tmp_path):
    text = """\
adapt:
  training: &training
    rank: 1  # r
    alpha: 2  # a
target:
  training:
    <<: *training  # smaller
    rank: 3  # q
"""
    settings = {setting.key: setting for setting in settings_of(tmp_path, text)}
    assert settings["target.training"].like == "adapt.training"
    assert settings["target.training"].comment == "smaller"
    assert settings["target.training.rank"].text == "3"
    assert "target.training.alpha" not in settings


def test_the_page_and_the_schema_are_up_to_date(capsys):
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_what_is_out_of_date_is_told_and_not_written(tmp_path, capsys):
    shutil.copytree(ROOT / PRESETS, tmp_path / "presets")
    page = (ROOT / PAGE).read_bytes()
    defaults = tmp_path / "presets/defaults.yaml"
    defaults.write_text(defaults.read_text().replace("seed: 42", "seed: 43"))
    (tmp_path / "presets" / EDITOR_SCHEMA).unlink()
    assert main(["--check", "--presets", str(tmp_path / "presets")]) == 1
    said = capsys.readouterr().err
    assert f"{PAGE} is out of date" in said
    assert f"{EDITOR_SCHEMA} is out of date" in said
    assert (ROOT / PAGE).read_bytes() == page
    assert not (tmp_path / "presets" / EDITOR_SCHEMA).exists()


def test_the_page_has_every_setting_with_its_range_unit_default_and_advice():
    page = (ROOT / PAGE).read_text()
    for setting in Written(DEFAULTS).settings():
        assert f"| `{setting.key}` |" in page or "." not in setting.key
    row = next(line for line in page.splitlines() if line.startswith("| `measure.batch` |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:3] == ["a whole number of 1 or more (questions)", "`64`"]
    assert "run out of memory" in cells[4]


def test_the_page_tells_what_entries_of_lists_may_say():
    page = (ROOT / PAGE).read_text()
    for row in ("| `hub.revision` | a commit of 40 hex digits | is needed |", "| `budget.cost` |", "| `shots` |"):
        assert row in page
    assert "### Local teacher" in page
    assert page.count("### Gate\n") == 1


@pytest.mark.parametrize("file", sorted((ROOT / PRESETS).glob("*.yaml")), ids=lambda file: file.stem)
def test_every_preset_keeps_the_schema_for_editors(editor, file):
    editor.validate(yaml.safe_load(file.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "preset: tiny",
        "preset: my/preset.yaml\nadapt: {training: {rank: 8}}",
        "extends: llama-3.2-1b\ngates: {merge: {max_kl: null}}",
        "router: null\nmodifiers: null\ngguf: null\nscore: {least: 7, malformed: 0.1}",
        "sources: [{name: a, domain: code, path: x, shape: {instruction: q, response: a}}]",
        "sources: []\nchain: []",
        "judge: {prices: {input: 0}}",
        "modifiers: {teach: {tiers: [{name: a, share: 1, reference: true}]}}",
    ],
)
def test_a_part_of_the_settings_is_valid_in_an_editor(editor, text):
    editor.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "adapt: {training: {rnak: 8}}",
        "seed: zero",
        "prune: {method: magic}",
        "target: null",
        "sources: [{name: a, path: x}]",
        "sources: [{name: a, domain: code}]",
        "sources: [{name: a, domain: code, path: x, generator: alpaca}]",
        "modifiers: {teach: {tiers: [{name: a, share: 1}]}}",
        "chain: [adapt, adapt]",
    ],
)
def test_a_mistake_is_marked_in_an_editor(editor, text):
    with pytest.raises(jsonschema.ValidationError):
        editor.validate(yaml.safe_load(text))


def test_editors_are_told_units_and_choices(schema):
    sections = schema["$defs"]
    assert sections["Measure"]["properties"]["batch"]["description"].endswith("(unit: questions)")
    assert sections["Prune"]["properties"]["method"]["enum"] == ["sparsegpt", "wanda"]
    assert "unit" in sections["Shingles"]["properties"], "a setting of that name is kept"
    assert {"preset", "extends"} <= set(schema["properties"])
    jsonschema.Draft202012Validator.check_schema(schema)
