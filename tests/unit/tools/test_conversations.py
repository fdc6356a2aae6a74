"""Conversations and marks as files."""

import json

import pytest

from ingot.chatting.client import how_chosen
from ingot.chatting.conversations import Folder, Turn
from ingot.errors import InputError


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "chats")


def begun(folder, *said):
    conversation = folder.new()
    conversation.turns = [Turn(("user", "assistant")[i % 2], text) for i, text in enumerate(said)]
    folder.save(conversation)
    return conversation


def test_what_was_saved_is_read_again(folder):
    one = begun(folder, "Sort\n3 1", "1 3")
    again = folder.open(one.name)
    assert again == one
    assert again.title == "Sort 3 1"
    assert [turn["role"] for turn in again.messages()] == ["user", "assistant"]


def test_the_newest_comes_first_and_what_is_damaged_is_left_out(folder):
    first, second = begun(folder, "a", "b"), begun(folder, "c", "d")
    second.begun = first.begun + 1
    folder.save(second)
    (folder.path / "cut.json").write_text('{"turns": [')
    (folder.path / "odd.json").write_bytes(b"\xff\xfe")
    assert [one.name for one in folder.all()] == [second.name, first.name]
    assert folder.latest().name == second.name


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "", "x" * 99, "a.json"])
def test_a_name_leads_nowhere_else(folder, name):
    with pytest.raises(InputError):
        folder.open(name)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"begun": 1, "turns": [{"role": "system", "text": "x"}]}', '{"begun": "x", "turns": []}',
     '{"begun": 1, "turns": [{"role": "user", "text": 3}]}', "[" * 100_000],
)  # fmt: skip
def test_what_is_no_conversation_is_not_taken_in(folder, tmp_path, text):
    (tmp_path / "it.json").write_text(text)
    with pytest.raises(InputError, match=r"it.json: this is no conversation"):
        folder.receive(tmp_path / "it.json")
    assert folder.all() == []


def test_a_large_one_and_one_in_another_script(folder, tmp_path, monkeypatch):
    one = begun(folder, "日本語 \x00 </script>", "…")
    (tmp_path / "it.json").write_text(folder.text(one))
    assert folder.receive(tmp_path / "it.json").turns == one.turns
    monkeypatch.setattr("ingot.chatting.conversations.LARGEST", 10)
    with pytest.raises(InputError, match="MiB"):
        folder.receive(tmp_path / "it.json")


def test_a_mark_is_a_line_that_a_build_can_read(folder):
    one = begun(folder, "Sort 3 1", "3 1", "Again", "1 3")
    one.turns[1].told = {"route": "code"}
    folder.mark(one, 1, "1 3")
    folder.mark(one, 3, "  ")
    lines = [json.loads(line) for line in (folder.path / "marks.jsonl").read_text().splitlines()]
    assert [(row["instruction"], row.get("response"), row["route"]) for row in lines] == [
        ("Sort 3 1", "1 3", "code"),
        ("Again", None, ""),
    ]
    assert folder.open(one.name).turns[1].wrong


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, ""),
        (
            {"route": "code", "reason": "router", "probability": 0.934},
            "answered by code: the router chose it (93% sure of this choice)",
        ),
        ({"route": "base", "reason": "named"}, "answered by base: you chose it"),
        ({"route": "base", "reason": "new kind"}, "answered by base: new kind"),
        ({"route": "base", "reason": ["of an", "import"]}, "answered by base: ['of an', 'import']"),
    ],
)
def test_who_answered_is_said_in_words(told, said):
    assert how_chosen(told) == said
