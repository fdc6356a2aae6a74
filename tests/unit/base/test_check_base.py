"""What the shape of a model rules out is said from its config.json, with the setting that works."""

import json
import shutil

import pytest

from ingot.errors import InputError
from ingot.io.records import read_json, write_json
from workflow_scripts.base.check_base import check_base

SMOLLM2 = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "max_position_embeddings": 8192,
}
GPT2 = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 768, "n_head": 12, "n_positions": 1024}
WHOLE = ["adapt", "target", "merge", "prune", "recover", "quantize_awq"]


@pytest.fixture
def check(tmp_path):
    def run(config, **changes):
        (tmp_path / "config.json").write_text(json.dumps(config))
        settings = {"chain": WHOLE, "group": "auto", "context": 1024, "types": []} | changes
        settings = {"pruned": {"prune": "2:4"} if "prune" in settings["chain"] else {}} | settings
        paths = (tmp_path, tmp_path / "verdict.json", tmp_path)
        check_base(*paths, most_tokens=None, probe_tokenizer=False, **settings)
        return read_json(tmp_path / "verdict.json")

    return run


def test_a_width_of_576_is_no_hindrance_and_the_types_that_fall_back_are_named(check, capsys):
    verdict = check(SMOLLM2, types=["F16", "Q8_0", "IQ4_XS", "MIX_4_25"])
    assert capsys.readouterr().err.startswith("IQ4_XS: hidden_size is 576, no multiple of 256")
    assert check(SMOLLM2, group=64) == verdict, "settings do not change what comes after"


def test_matrices_that_are_stored_transposed_allow_neither_mixes_nor_distil(check):
    said = r"`distil` cannot treat a gpt2(.|\n)*what MIX_2_25 would lose cannot be measured on a gpt2"
    with pytest.raises(InputError, match=said):
        check(GPT2, chain=["adapt", "merge", "distil"], types=["F16", "MIX_2_25"])


@pytest.mark.parametrize(
    ("config", "changes", "said"),
    [
        (SMOLLM2, {"group": 128}, "quantize_awq.group: 128 does not divide.*576.*use 64 or 32"),
        (SMOLLM2 | {"intermediate_size": 1530}, {}, "leave `quantize_awq` out"),
        (SMOLLM2 | {"intermediate_size": 1538}, {"chain": ["prune"]}, "multiples of 4.*intermediate_size is 1538"),
        (
            SMOLLM2 | {"model_type": "smollm3"},
            {"pruned": {"prune": "blocks"}, "types": ["F16"]},
            "kind of a block of a smollm3",
        ),
        (
            SMOLLM2 | {"intermediate_size": 1538},
            {"chain": [], "pruned": {"frontier.prunings.half": "2:4"}},
            r"frontier.prunings.half.structure: .*intermediate_size is 1538",
        ),
        (GPT2, {"chain": [], "pruned": {"frontier.prunings.half": "2:4"}}, "half: a gpt2.*cannot be pruned"),
        (SMOLLM2, {"context": 10_000}, "context: 10000 is more than the 8192 tokens"),
        (GPT2, {}, "`prune`, `recover`, `quantize_awq` cannot treat a gpt2.*leave them out"),
        ({"model_type": "mystery"}, {}, "shape is not said"),
        (SMOLLM2 | {"num_attention_heads": 0, "n_head": 0}, {}, "shape is not said"),
    ],
)
def test_what_a_shape_rules_out_is_said_with_what_to_do(check, config, changes, said):
    with pytest.raises(InputError, match=f"(?s)config.json.*{said}"):
        check(config, **changes)


def test_every_mistake_is_listed_at_once(check):
    with pytest.raises(InputError) as error:
        check(SMOLLM2, group=128, context=10_000)
    assert len(str(error.value).splitlines()) == 3


def test_a_chain_without_compression_asks_for_nothing_of_it(check):
    check(GPT2, chain=["adapt", "merge"])
    check(SMOLLM2 | {"intermediate_size": 1538}, chain=["adapt"])


def test_blocks_of_several_widths_are_all_looked_at(check):
    several = SMOLLM2 | {"intermediate_size": [1536, 1530, 1536]}
    with pytest.raises(InputError, match="leave `quantize_awq` out"):
        check(several)
    check(several, chain=["adapt"])


@pytest.mark.parametrize(("architecture", "known"), [("LlamaForCausalLM", True), ("NobodysForCausalLM", False)])
def test_an_architecture_that_llama_cpp_does_not_know_is_said_before_anything_is_trained(check, architecture, known):
    config = SMOLLM2 | {"architectures": [architecture]}
    if known:
        check(config, types=["F16"])
    else:
        with pytest.raises(InputError, match="llama.cpp knows no NobodysForCausalLM; set `gguf: null`"):
            check(config, types=["F16"])
        check(config)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"normalizer": {"type": "Lowercase"}}, "other tokens than"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "does not know how its tokenizer splits texts"),
    ],
)
def test_a_tokenizer_that_llama_cpp_reads_otherwise_is_refused_before_anything_is_trained(
    checkpoint, tmp_path, change, said
):
    base = tmp_path / "base"
    shutil.copytree(checkpoint, base)
    write_json(base / "tokenizer.json", read_json(base / "tokenizer.json") | change)
    settings = {"chain": [], "group": "auto", "pruned": {}, "context": 256, "types": ["F16"], "most_tokens": None}
    with pytest.raises(InputError, match=said):
        check_base(base, tmp_path / "verdict.json", tmp_path, probe_tokenizer=True, **settings)
