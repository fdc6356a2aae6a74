"""Settings that are edited in a page."""

import shutil

import pytest

from helpers.workspaces import ROOT
from ingot.errors import InputError
from ingot.settings.load import read_mapping
from ingot.studio.editing import Editor, digest
from ingot.studio.options import Options
from ingot.studio.views import Looked, appeal, judge, show_settings
from ingot.studio.watch import Watch

CONFIG = """\
# What I chose, and why.
preset: tiny
adapt: {training: {rank: 8}}  # small: the data is
"""
ID = "0123456789abcdef"


@pytest.fixture
def editor(tmp_path):
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    shutil.copytree(ROOT / "suites", tmp_path / "suites")
    (tmp_path / "config.yaml").write_text(CONFIG)
    return Editor(tmp_path)


@pytest.fixture
def given(editor):
    watch = Watch(editor.root, list, list, dict, list)
    return Options(editor.root, watch, editor, may_edit=True, beside={})


def save(editor, key, text):
    editor.save(editor.change(key, text))
    return editor.path.read_text()


def test_an_edit_keeps_comments_and_all_else(editor):
    text = save(editor, "adapt.training.rank", "4")
    assert text == CONFIG.replace("rank: 8", "rank: 4")
    text = save(editor, "seed", "7")
    assert text == CONFIG.replace("rank: 8", "rank: 4") + "seed: 7\n"


@pytest.mark.parametrize(
    ("key", "text", "why"),
    [
        ("adapt.training.rank", "0", "a whole number from 1 to 1,024 is needed"),
        ("adapt.training.rank", "many", "a whole number from 1 to 1,024 is needed"),
        ("adapt.training.rank", "[1", "this is no YAML"),
        ("adapt.training.rank", "!!python/object/apply:os.system [true]", "this is no YAML"),
        ("preset", "tinny", "did you mean 'tiny'"),
        ("adapt.training.rang", "8", "unknown key 'rang'"),
        ("filter.appeals", "[no id]", "an id of 16 hex digits is needed"),
    ],
)
def test_a_wrong_value_is_refused_with_its_reason(editor, key, text, why):
    with pytest.raises(InputError) as refused:
        editor.change(key, text)
    assert why in str(refused.value)
    assert editor.path.read_text() == CONFIG


def test_an_appeal_is_added_to_the_others(editor, given):
    appeal(given, [ID])
    assert "Noted under filter.appeals" in appeal(given, [ID, "f" * 16])
    assert read_mapping(editor.path)["filter"]["appeals"] == [ID, "f" * 16]
    assert given.watch.again.is_set()
    assert "class=&#34;no" not in appeal(given, ["<b>"]) and "16 hex digits" in appeal(given, ["<b>"])


def chosen(editor, key):
    return next(one for one in editor.known() if one.key == key)


def test_what_two_people_edit_at_once_is_not_lost(editor, given):
    mine, theirs = Looked(digest(editor.text())), Looked(digest(editor.text()))
    rank, seed = chosen(editor, "adapt.training.rank"), chosen(editor, "seed")
    assert "Saved" in judge(given, theirs, seed, "7", save=True)
    assert "changed by somebody else" in judge(given, mine, rank, "16", save=True)
    assert read_mapping(editor.path) == {"preset": "tiny", "adapt": {"training": {"rank": 8}}, "seed": 7}
    assert "Saved" in judge(given, mine, rank, "16", save=True), "whoever has been told may save"
    assert read_mapping(editor.path) == {"preset": "tiny", "adapt": {"training": {"rank": 16}}, "seed": 7}
    assert "Saved" in judge(given, mine, rank, "24", save=True), "one's own edit is no conflict"


def test_without_edit_nothing_is_written(editor, given):
    reading = Options(given.root, given.watch, editor, may_edit=False, beside={})
    assert "--edit" in judge(reading, Looked(digest(CONFIG)), chosen(editor, "seed"), "7", save=True)
    assert "--edit" in appeal(reading, [ID])
    assert editor.path.read_text() == CONFIG


def test_a_file_that_cannot_be_written_is_said(editor, monkeypatch):
    def full(self, *_):
        raise OSError(28, "No space left on device")

    draft = editor.change("seed", "7")
    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        editor.save(draft)
    assert editor.path.read_text() == CONFIG
    assert [path.name for path in editor.root.glob(".config*")] == []


def test_every_setting_is_shown_with_what_helps_to_choose(editor):
    known = editor.known()
    rank = chosen(editor, "adapt.training.rank")
    assert (rank.value, rank.is_own) == ("8", True) and rank.comment and rank.about
    assert rank.allowed == "a whole number from 1 to 1,024"
    shown = show_settings(known, "adapt.training.rank", 1)
    assert "set in config.yaml" in shown and "1 settings, page 1 of 1" in shown


def test_every_value_can_be_saved_as_it_is(editor):
    for one in editor.known():
        given = editor.change(one.key, one.value).text
        assert given, one.key
    assert editor.path.read_text() == CONFIG


@pytest.mark.parametrize("text", ["0.00001", "1.0e-05", "1.0e-5"])
def test_small_numbers_stay_numbers(editor, text):
    save(editor, "adapt.training.learning_rate", text)
    assert read_mapping(editor.path)["adapt"]["training"]["learning_rate"] == 1e-5


def test_a_value_that_two_settings_share_is_not_changed_for_both(editor):
    editor.path.write_text("adapt: {training: &t {batch: 8}}\nrecover: {training: *t}\n")
    with pytest.raises(InputError, match="without changing something else"):
        editor.change("adapt.training.batch", "4")


@pytest.mark.parametrize("text", ["", "# nothing\n", "preset: tiny\r\nseed: 1\r\n"])
def test_other_forms_of_the_file_are_kept(editor, text):
    editor.path.write_bytes(text.encode())
    editor.save(editor.change("seed", "7"))
    assert read_mapping(editor.path)["seed"] == 7
    assert (b"\r\n" in editor.path.read_bytes()) == ("\r\n" in text)


def test_what_plain_make_would_refuse_is_not_saved_for_another_preset(editor):
    editor.path.write_text("preset: tinny\n")
    with pytest.raises(InputError, match="did you mean 'tiny'"):
        Editor(editor.root, "tiny").change("seed", "7")
