"""What a configuration builds, and what it leaves out."""

import os
import re

import pytest

from ingot.errors import InputError
from ingot.settings.data import Source
from ingot.workflow.build import inert, open_build, parts_of

LOCAL = {"kind": "local", "model": "some/folder"}


@pytest.fixture
def build(root):
    return lambda **given: open_build({"preset": "tiny", **given}, root)


def test_the_tiny_preset_builds_everything(build):
    tiny = build()
    assert list(tiny.models)[:7] == ["base", "adapter", "targeted", "merged", "pruned", "recovered", "awq"]
    assert tiny.models["F16"].parent == "recovered"
    assert tiny.models["IQ4_XS"].parent == "F16"
    assert tiny.gated == list(tiny.models)[1:]
    assert tiny.has_router and tiny.has_detector and tiny.has_importance
    assert [stage["name"] for stage in tiny.stages()] == ["base", "adapter", "targeted", "system"]
    assert tiny.targets() == ["results/release/manifest.json", "results/plots/sizes-quality.svg"]
    assert list(tiny.trainings()) == ["base", "adapt", "target_1", "recover"]


def test_a_checkpoint_is_quantised_as_it_is_without_data(build):
    plain = build(chain=[], base=LOCAL, sources=[], modifiers=None)
    assert list(plain.models) == ["base", "F16", "Q8_0", "Q5_K_M", "Q4_K_M", "IQ4_XS"]
    assert plain.models["F16"].parent == "base"
    assert plain.held_out_texts == plain.benchmark == "results/data/benchmark.jsonl"
    assert not (plain.has_importance or plain.domains or plain.has_router)
    said = " ".join(plain.left_out())
    assert "No data stage" in said and "without an importance matrix" in said and "`prune`" in said
    assert [stage["name"] for stage in plain.stages()] == ["base", "IQ4_XS"]


def test_what_makes_no_sense_is_left_out_with_what_it_needs(build):
    assert not build(sources=[], chain=[]).domains, "modifiers learn from data"
    without_router = build(router=None)
    assert without_router.domains and not without_router.has_detector
    assert "no gate on the system" in " ".join(without_router.left_out())
    assert build(gguf=None).domains == []


def test_without_questions_nothing_is_measured_and_the_card_says_so(build):
    blind = build(chain=[], base=LOCAL, sources=[], benchmarks=[])
    assert blind.measured == [] and blind.gated == []
    assert "Nothing was measured" in " ".join(blind.left_out())


def test_without_benchmarks_the_test_split_is_asked(build):
    tested = build(benchmarks=[])
    assert tested.benchmark == "results/data/test.jsonl"
    assert tested.held_out == []


def test_data_alone_needs_only_a_tokenizer(build):
    curation = build(base={"kind": "tokenizer", "model": "some/folder"}, chain=[], gguf=None)
    assert not curation.models
    assert curation.tokenizer == "results/tokenizer"
    assert "results/curation.html" in curation.targets()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"chain": ["adapt"]}, "GGUF files would be made without it; put `merge` at its end, or set `gguf: null`"),
        ({"chain": ["adapt", "prune"]}, "put `merge` before it"),
        ({"sources": []}, "`adapt` learns from training data"),
        ({"gates": {"prnue": {}}}, "gates.prnue: there is no such step"),
        ({"ask_suite": {"models": ["pruned"], "suites": [{"name": "a", "task": "gsm8k", "data": "x"}]}, "chain": []},
         "ask_suite.models: 'pruned' is not built here; there are base, F16"),
        ({"compare": {"model": "IQ4_XS", "reference": "oracle", "malformed": 0.1,
                      "next_round": {"skip": 0.5, "required": 0.5}}}, "compare: 'oracle' is not built here"),
        ({"base": {"kind": "tokenizer", "model": "x"}}, "chain: a base of kind 'tokenizer' is no model; set it to []"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_any_job(build, given, said):
    with pytest.raises(InputError, match=r"the configuration is not valid") as refused:
        build(**given)
    assert said in str(refused.value)


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
