"""Which files a source has, and which parts they are cut into."""

import os
import re

import pytest

from ingot.errors import InputError
from ingot.settings.data import Source
from ingot.workflow.parts import inert, parts_of


def test_sources_are_cut_into_parts_file_by_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.jsonl", "a.jsonl"):
        (tmp_path / name).touch()
    hub = {"id": "a/b", "revision": "0" * 40, "file": "x/y.parquet"}
    sources = [
        Source(name="many", path="*.jsonl", domain="code", parts=2),
        Source(name="one", path="absent.csv", domain="code"),
        Source(name="far", hub=hub, domain="code"),
    ]
    parts = parts_of(sources)
    names = ["a_jsonl_0", "a_jsonl_1", "b_jsonl_0", "b_jsonl_1"]
    (far,) = [part for (source, _), part in parts.items() if source == "far"]
    assert list(parts)[:5] == [*(("many", name) for name in names), ("one", "absent_csv_0")]
    assert (parts["many", "b_jsonl_1"].file, parts["many", "b_jsonl_1"].place) == ("b.jsonl", 1)
    assert re.fullmatch(r"results/hub/far/[0-9a-f]{8}_x_y\.parquet", far.file)
    assert parts["one", "absent_csv_0"].source.difficulty == "medium"
    with pytest.raises(InputError, match=r"many: no file is called like \*\.txt"):
        parts_of([Source(name="many", path="*.txt", domain="code")])


def test_what_is_not_a_file_is_refused_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(InputError, match=r"one: folder is not a file: name its files, such as folder/\*\.jsonl"):
        parts_of([Source(name="one", path="folder", domain="code")])
    with pytest.raises(InputError, match=r"one: pipe\.jsonl is not a file"):
        parts_of([Source(name="one", path="pipe.jsonl", domain="code")])


ODD = [
    "data (1).jsonl",
    "x$(touch PWNED).jsonl",
    "a;b",
    "`a`",
    "-rf",
    "a\nb",
    'a"b',
    "a'b",
    "{a}",
    "${a}",
    "é",
    "x" * 250,
]


def test_any_name_of_a_file_makes_a_part_whose_name_means_nothing_to_anybody(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [*ODD, "a b", "a_b", "a-b"]:
        (tmp_path / name).touch()
    parts = parts_of([Source(name="many", path="*", domain="code")])
    assert {part.file for part in parts.values()} == {*ODD, "a b", "a_b", "a-b"}
    assert all(re.fullmatch(r"[A-Za-z0-9_]{1,90}", name) for _, name in parts)
    assert len({inert(name) for name in ODD}) == len(ODD)
    assert parts_of([Source(name="one", path="data (1).jsonl", domain="code")])


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data [1].jsonl").touch()
    ((_, part),) = parts_of([Source(name="one", path="data [1].jsonl", domain="code")]).items()
    assert part.file == "data [1].jsonl"


def test_files_of_the_same_name_in_two_folders_are_two_parts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train.jsonl").touch()
    assert len(parts_of([Source(name="both", path="*/train.jsonl", domain="code")])) == 2


def test_a_name_that_is_not_utf8_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / os.fsdecode(b"a\xff.jsonl")).touch()
    with pytest.raises(InputError, match="this name is not UTF-8: rename the file"):
        parts_of([Source(name="one", path="*.jsonl", domain="code")])
