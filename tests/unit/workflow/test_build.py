"""What a configuration builds, and what it leaves out."""

import pytest

from ingot.errors import InputError
from ingot.workflow.build import open_build
from ingot.workflow.left_out import left_out

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
    said = " ".join(left_out(plain))
    assert "No data stage" in said and "without an importance matrix" in said and "`prune`" in said
    assert [stage["name"] for stage in plain.stages()] == ["base", "IQ4_XS"]


def test_what_makes_no_sense_is_left_out_with_what_it_needs(build):
    assert not build(sources=[], chain=[]).domains, "modifiers learn from data"
    without_router = build(router=None)
    assert without_router.domains and not without_router.has_detector
    assert "no gate on the system" in " ".join(left_out(without_router))
    assert build(gguf=None).domains == []


def test_candidates_are_those_before_compression_and_the_last_in_every_type_that_can_be_made(build):
    frontier = {"types": ["Q8_0", "IQ2_S"], "distilled": []}
    tiny = build(frontier=frontier)
    assert tiny.candidates == [("merged", "Q8_0"), ("merged", "IQ2_S"), ("awq", "Q8_0"), ("awq", "IQ2_S")]
    assert build(frontier=frontier, importance=None).candidates == [("merged", "Q8_0"), ("awq", "Q8_0")]
    trained = build(chain=["adapt", "merge", "distil"], gguf={"types": ["F16", "MIX_1_83"], "serve": "MIX_1_83"})
    assert ("distil", "MIX_1_83") in trained.candidates
    assert {source for source, _ in trained.candidates} == {"merged", "distil"}
    assert trained.gates_up_to("merged") == ["results/gates/adapter.json", "results/gates/merged.json"]
    assert build(frontier=None).candidates == build(sources=[], chain=[]).candidates == []
    assert tiny.chain.weights_of("awq") == "results/scaled" and tiny.chain.weights_of("base") == "results/base"


def test_without_questions_nothing_is_measured_and_the_card_says_so(build):
    blind = build(chain=[], base=LOCAL, sources=[], benchmarks=[])
    assert blind.measured == [] and blind.gated == []
    assert "Nothing was measured" in " ".join(left_out(blind))


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
        ({"gguf": {"types": ["F16", "IQ2_S"], "serve": "IQ2_S"}, "importance": None},
         "gguf.types: IQ2_S can only be made with an importance matrix; set `importance`"),
        ({"frontier": {"sources": ["merged", "adapter"]}},
         "frontier.sources: 'adapter' is no checkpoint that is built here; there are base, merged, pruned"),
        ({"chain": ["adapt", "merge", "distil"], "gguf": None}, "chain: `distil` trains for a GGUF type"),
        ({"chain": ["adapt", "merge", "distil"]}, "distil.type: MIX_1_83 is not in gguf.types"),
        ({"cut_vocabulary": {"most": 900}}, "cut_vocabulary: `train_tokenizer.vocabulary` says it for a base"),
        ({"cut_vocabulary": {"most": 900}, "sources": [], "chain": []}, "cut_vocabulary: without `sources`"),
        ({"base": {"kind": "tokenizer", "model": "x"}}, "chain: a base of kind 'tokenizer' is no model; set it to []"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_any_job(build, given, said):
    with pytest.raises(InputError, match=r"the configuration is not valid") as refused:
        build(**given)
    assert said in str(refused.value)
