"""Presets that extend each other, overrides, and what is said about mistakes."""

import collections
import copy
from pathlib import Path

import pytest
import yaml

from ingot.errors import InputError
from ingot.settings.everything import Settings
from ingot.settings.load import PRESETS, load, merge, preset_files, read_mapping

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ["tiny", "llama-3.2-1b", "llama-3.1-8b", "llama-3.1-8b-24gb"]
SOURCE = {"name": "a", "domain": "code", "path": "x.jsonl"}
UNSTRUCTURED = {"structure": "unstructured", "ratios": {"feed_forward": 0.3}}
GRADUAL = {"attention": 0, "feed_forward": 0.6, "until": 0.5, "every": 10}


@pytest.fixture
def presets(tmp_path, monkeypatch):
    """A function that writes presets into the working directory, and those of the project at hand by name."""
    monkeypatch.chdir(tmp_path)

    def write(**texts):
        for name, text in texts.items():
            (tmp_path / f"{name}.yaml").write_text(text)

    return write


@pytest.mark.parametrize("preset", SHIPPED)
def test_every_preset_is_valid(preset):
    settings = load({"preset": preset}, ROOT)
    assert isinstance(settings, Settings)
    assert settings.preset == preset


def test_a_configuration_that_names_no_preset_gets_the_tiny_one():
    assert load({}, ROOT) == load({"preset": "tiny"}, ROOT)


def test_the_defaults_lack_nothing_but_a_model():
    with pytest.raises(InputError) as error:
        load({"preset": "defaults"}, ROOT)
    assert [line.split(":")[0].strip() for line in str(error.value).splitlines()[1:]] == ["base.model", "base.revision"]
    base = {"model": "a/b", "revision": "0" * 40}
    assert load({"preset": "defaults", "base": base}, ROOT).base.kind == "hub"


def test_what_the_8b_preset_trains_with():
    training = load({"preset": "llama-3.1-8b"}, ROOT).adapt.training.model_dump()
    wanted = yaml.safe_load(
        """
        {rank: 64, alpha: 16, dropout: 0.05, quantization: auto, length: 1024, packing: true,
         batch: 32, accumulation: 2, epochs: 3, learning_rate: 0.000005, schedule: cosine,
         weight_decay: 0.01, clip: 1.0, optimizer: adamw_8bit}
        """
    )
    assert {key: training[key] for key in wanted} == wanted
    assert len(training["target_modules"]) == 7


def test_overrides_are_merged_and_lists_replaced():
    below = {"a": {"b": 1, "c": [1, 2]}, "d": 3}
    before = copy.deepcopy(below)
    assert merge(below, {"a": {"c": [9]}}) == {"a": {"b": 1, "c": [9]}, "d": 3}
    assert merge(below, {"a": None}) == {"a": None, "d": 3}
    assert merge(below, {"d": {"e": 1}}) == {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}}
    assert below == before


def test_overrides_of_config_yaml_win_over_the_preset():
    settings = load({"preset": "tiny", "adapt": {"training": {"rank": 8}}}, ROOT)
    assert settings.adapt.training.rank == 8
    assert settings.adapt.training.max_steps == 50


def test_mappings_of_any_kind_are_taken():
    given = collections.OrderedDict(adapt=collections.OrderedDict(training=collections.OrderedDict(rank=8)))
    assert load(given, ROOT).adapt.training.rank == 8


# Presets that extend each other


def test_a_preset_of_a_user_extends_tiny_and_says_only_what_differs(presets):
    presets(mine="extends: tiny\nadapt: {training: {rank: 32}}\nbenchmarks: []\n")
    mine, tiny = load({"preset": "mine.yaml"}, ROOT).model_dump(), load({}, ROOT).model_dump()
    assert mine["adapt"]["training"].pop("rank") == 32
    assert mine.pop("benchmarks") == []
    assert mine.pop("preset") == "mine.yaml"
    del tiny["adapt"]["training"]["rank"], tiny["benchmarks"], tiny["preset"]
    assert mine == tiny


def test_a_preset_extends_another_by_its_path_and_the_defaults_if_it_says_nothing(presets):
    presets(a="extends: b.yaml\nseed: 1\n", b="base: {model: x, kind: local}\nseed: 2\nthreads: 3\n")
    settings = load({"preset": "a.yaml"}, ROOT)
    assert (settings.seed, settings.threads, settings.base.model) == (1, 3, "x")
    assert settings.context == read_mapping(ROOT / PRESETS / "defaults.yaml")["context"]


def test_the_files_of_a_preset_are_listed_itself_first(presets):
    folder = ROOT / PRESETS
    names = ("llama-3.1-8b", "llama-3.2-1b", "defaults")
    assert preset_files("llama-3.1-8b", ROOT) == [folder / f"{name}.yaml" for name in names]
    presets(mine="extends: tiny\n")
    assert preset_files("mine.yaml", ROOT) == [Path("mine.yaml"), folder / "tiny.yaml", folder / "defaults.yaml"]


def test_a_preset_may_repeat_itself_by_anchors(presets):
    presets(mine="extends: tiny\nprune: {calibration: &data {records: 9, length: 99}}\nimportance: *data\n")
    settings = load({"preset": "mine.yaml"}, ROOT)
    assert settings.prune.calibration.records == settings.importance.records == 9


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"mine": "extends: mine.yaml\n"}, r"in a circle: mine\.yaml -> mine\.yaml"),
        ({"mine": "extends: b.yaml\n", "b": "extends: mine.yaml\n"}, r"mine\.yaml -> b\.yaml -> mine\.yaml"),
        ({"mine": "extends: ./b.yaml\n", "b": "extends: ./mine.yaml\n"}, r"in a circle: mine\.yaml -> b\.yaml -> mine"),
        ({"mine": "extends: gone.yaml\n"}, r"mine\.yaml: extends: 'gone\.yaml' is not known"),
        ({"mine": "extends: tinny\n"}, r"mine\.yaml: extends: 'tinny' is not known \(did you mean 'tiny'\?\)"),
        ({"mine": "extends: [tiny]\n"}, r"mine\.yaml: extends: \['tiny'\] is not the name"),
        ({"mine": "extends: b.yaml\n", "b": "a: [\n"}, r"b\.yaml: not valid YAML"),
        ({"mine": "extends: b.yaml\n", "b": "- a\n"}, r"b\.yaml: a mapping of keys to values is expected"),
        ({"mine": ""}, r"mine\.yaml: a mapping of keys to values is expected"),
        ({"mine": "preset: tiny\n"}, r"mine\.yaml: `preset` is for config\.yaml; in a preset, `extends`"),
    ],
)
def test_a_preset_that_cannot_be_used_is_named(presets, files, said):
    presets(**files)
    with pytest.raises(InputError, match=said):
        load({"preset": "mine.yaml"}, ROOT)


def test_the_defaults_extend_nothing(presets, tmp_path):
    (tmp_path / PRESETS).mkdir()
    (tmp_path / PRESETS / "defaults.yaml").write_text("extends: tiny\n")
    with pytest.raises(InputError, match="the defaults extend nothing"):
        preset_files("defaults", tmp_path)


def test_a_file_that_is_no_text_or_a_folder_is_named(tmp_path):
    (tmp_path / "bytes.yaml").write_bytes(b"a: \xff\xfe\n")
    with pytest.raises(InputError, match=r"bytes\.yaml: cannot be read"):
        read_mapping(tmp_path / "bytes.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        read_mapping(tmp_path)
    with pytest.raises(InputError, match=r"gone\.yaml: no such file"):
        read_mapping(tmp_path / "gone.yaml")


def test_yaml_runs_no_code(tmp_path):
    (tmp_path / "evil.yaml").write_text("a: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(InputError, match=r"evil\.yaml: not valid YAML"):
        read_mapping(tmp_path / "evil.yaml")


# Mistakes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"adapt": {"training": {"rnak": 8}}},
            r"adapt.training: unknown key 'rnak' \(did you mean 'rank'\?\); allowed: .*",
        ),
        ({"unknown": 1}, "top level: unknown key 'unknown'; allowed: adapt"),
        ({1: 2}, "top level: unknown key '1'"),
        (
            {"seed": "zero"},
            "seed: 'zero' is given, a whole number from 0 to .* is needed; it is: Seed of everything random",
        ),
        (
            {"adapt": {"training": {"dropout": 2}}},
            r"adapt.training.dropout: 2 is given, a number from 0 to 0.9 is needed",
        ),
        ({"adapt": {"training": {"max_steps": 0}}}, "max_steps: 0 is given, null, or a whole number of 1 or more"),
        ({"adapt": {"training": {"trainable_share": [0.1]}}}, r"trainable_share: \[0.1\] is given, a list of 2"),
        (
            {"adapt": {"training": {"quantization": {"type": "nf5"}}}},
            "quantization.type: 'nf5' is given, one of nf4, fp4",
        ),
        ({"prune": {"method": "magic"}}, r"prune.method: 'magic' is given, one of sparsegpt, wanda is needed"),
        ({"gguf": {"types": ["F16", "Q9_X"]}}, "gguf.types.1: 'Q9_X' is given, one of F16, Q8_0"),
        ({"gguf": {"types": ["Q8_0"]}}, "gguf.types: F16 must be in the list"),
        ({"gguf": {"types": ["F16", "Q8_0", "F16"]}}, "gguf.types: 'F16' is in the list twice"),
        ({"chain": ["adapt", "adapt"]}, "chain: 'adapt' is in the list twice"),
        ({"chain": "adapt"}, "chain: 'adapt' is given, a list"),
        ({"read": {"row_bytes": 1}}, "read.row_bytes.*unit: bytes"),
        ({"preset": "huge"}, r"preset: 'huge' is not known; use one of .*tiny"),
        ({"preset": 5}, "preset: 5 is not the name"),
        ({"extends": "tiny"}, "extends: this is for presets"),
        ({"split": {"shares": {"valid": 0.5, "test": 0.5}}}, "must be less than 1"),
        ({"gguf": {"serve": "Q2_K"}}, "gguf.serve: 'Q2_K' is not among gguf.types"),
        ({"base": {"kind": "hub"}}, "base.model: a base of kind 'hub' needs"),
        ({"base": {"kind": "hub", "model": "a/b"}}, "base.revision: a hub model needs"),
        (
            {"base": {"kind": "hub", "model": "a/b", "revision": "main"}},
            "base.revision: 'main' is given, null, or a commit of 40 hex digits",
        ),
        ({"judge": {"endpoint": "https://me:sesame@host/v1"}}, "judge.endpoint: an address may not hold a user"),
        ({"judge": {"endpoint": "https://host/v1?api_key=sesame"}}, "judge.endpoint: an address may not hold a user"),
        ({"judge": {"endpoint": "host/v1"}}, "judge.endpoint: an address begins with http"),
        ({"base": {"kind": "tokenizer"}}, "base.model: a base of kind 'tokenizer' needs the folder of a tokenizer"),
        ({"base": {"kind": "world"}}, "base.kind: 'world' is given, one of pretrain, local, hub, gguf, tokenizer"),
        ({"prune": {"ratios": {"attention": 0.6}}}, "2:4 is exactly one half"),
        ({"prune": {"ratios": {"blocks": 0.2}}}, "only the structure `blocks` drops any"),
        ({"prune": {"structure": "blocks"}}, "the structure `blocks` needs `blocks` above 0"),
        ({"prune": {"structure": "unstructured"}}, "prune.ratios: nothing becomes zero"),
        ({"recover": {"gradual": GRADUAL}}, "only if prune.structure is `unstructured` may the number"),
        (
            {"prune": {"structure": "unstructured"}, "recover": {"gradual": GRADUAL | {"feed_forward": 0}}},
            "prune.ratios: nothing becomes zero; set one of them above 0, or one of recover.gradual",
        ),
        (
            {"frontier": {"prunings": {"half": {"structure": "2:4", "ratios": {"attention": 0.6}}}}},
            "frontier.prunings.half.ratios: 2:4 is exactly one half",
        ),
        (
            {"frontier": {"prunings": {"half": {"structure": "2:4", "gradual": GRADUAL}}}},
            "half.gradual: only if frontier.prunings.half.structure is `unstructured`",
        ),
        ({"frontier": {"prunings": {"Half": {"structure": "2:4"}}}}, "prunings: 'Half' is no key here; a name of"),
        (
            {"prune": UNSTRUCTURED, "recover": {"gradual": GRADUAL | {"feed_forward": 0.2}}},
            r"gradual.feed_forward: 0.2 is less than prune.ratios.feed_forward \(0.3\)",
        ),
        (
            {"prune": UNSTRUCTURED, "recover": {"gradual": GRADUAL | {"until": 9999}}},
            "gradual.until: 9999 is after the last step",
        ),
        ({"pretrain": {"shape": {"heads": 3}}}, r"`hidden` \(256\) must be a multiple of `heads` \(3\)"),
        ({"pretrain": {"shape": {"kv_heads": 3}}}, r"`heads` \(4\) must be a multiple of `kv_heads` \(3\)"),
        ({"modifiers": {"training": {"length": 4096}}}, "modifiers.training.length: 4096 is more than context"),
        ({"target": {"training": {"trainable_share": [0.2, 0.1]}}}, "target.training.trainable_share: the least share"),
        ({"modifiers": {"cluster": {"least": 20}}}, r"modifiers.cluster: `least` \(20\) is more than `most` \(10\)"),
        ({"filter": {"length": {"least": 300}}}, r"filter.length: `least` \(300\) is more than `most` \(256\)"),
        ({"filter": {"gibberish": {"word_length": [9, 2]}}}, "word_length: the least mean length is more"),
        ({"filter": {"appeals": ["no id"]}}, "filter.appeals.0: 'no id' is given, an id of 16 hex digits is needed"),
        ({"balance": {"mix": {"domain": {"code": 0.7}}}}, "balance.mix.domain: the shares add up to 0.7"),
        ({"balance": {"mix": {"difficulty": {"hart": 1}}}}, "balance.mix.difficulty: unknown key 'hart'.*'hard'"),
        ({"generate": {"mix": {"codee": {"easy": 1}}}}, "generate.mix: unknown key 'codee'.*'code'"),
        ({"generate": {"mix": {"code": {"easy": 2}}}}, "generate.mix.code.easy: 2 is given, a number from 0 to 1"),
        ({"deduplicate": {"limits": {"size": 1}}}, "deduplicate.limits: unknown key 'size'; allowed: domain"),
        ({"gates": {"adapt": {"max_kl": -1}}}, r"gates.adapt.max_kl: -1 is given.*unit: nats"),
        ({"gates": {"adapt": {"max_k": 1}}}, "gates.adapt: unknown key 'max_k'.*'max_kl'"),
        ({"target": None}, "target: null is given, a mapping of rounds"),
        ({"router": 5}, "router: 5 is given, null, or a mapping of features"),
        ({"score": {"least": 7}}, "score.malformed: missing, a number from 0 to 1 is needed; it is: Largest share"),
        ({"context": float("nan")}, "context: .nan is given"),
        ({"router": {"worth": float("inf")}}, "router.worth: .inf is given"),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(change, said):
    with pytest.raises(InputError, match=said) as error:
        load(change, ROOT)
    assert not any(
        jargon in str(error.value) for jargon in ("pydantic", "function-", "Input should", "[key]", "tagged")
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"name": "a", "domain": "code"}, "sources.0: exactly one of .*; source 'a' says none of them"),
        (SOURCE | {"generator": "alpaca"}, "sources.0: exactly one of .*; source 'a' says `path` and `generator`"),
        (SOURCE | {"shape": "alpakka"}, r"sources.0.shape: 'alpakka' is given, one of .* \(did you mean 'alpaca'\?\)"),
        (SOURCE | {"shape": 5}, "sources.0.shape: 5 is given, one of alpaca"),
        (SOURCE | {"shape": {"instruction": "q"}}, "sources.0.shape.response: missing, a text is needed"),
        (
            SOURCE | {"shape": {"instruction": "q", "response": "a", "after": "b"}},
            "sources.0.shape: unknown key 'after'",
        ),
        (SOURCE | {"shards": 3}, "sources.0: unknown key 'shards'; allowed: .*parts"),
        (SOURCE | {"sample": 0}, "sources.0.sample: 0 is given, a number above 0 and up to 1"),
        (
            {"name": "a", "domain": "code", "hub": {"id": "x", "revision": "0" * 40, "file": "f"}},
            "hub.id: 'x' is given",
        ),
        (
            {"name": "A b", "domain": "code", "path": "x"},
            "sources.0.name: 'A b' is given, a name of lower-case letters",
        ),
        ({"path": "x"}, "sources.0.domain: missing"),
        (5, "sources.0: 5 is given, a mapping of name"),
    ],
)
def test_a_mistake_about_a_source_is_named(source, said):
    with pytest.raises(InputError, match=said):
        load({"sources": [source]}, ROOT)


@pytest.mark.parametrize(
    ("tier", "said"),
    [
        ({"name": "x", "share": 1}, "tiers.0: a tier says one of `reference: true`"),
        (7, "tiers.0: a tier says one of"),
        ({"name": "x", "share": 1, "reference": False}, "tiers.0.reference: only `true` is allowed"),
        ({"name": "x", "share": 2, "reference": True}, "tiers.0.share: 2 is given, a number from 0 to 1"),
        ({"name": "x", "share": 1, "checkpoint": "f", "samples": 1}, "tiers.0.temperature: missing"),
        ({"name": "x", "share": 1, "endpoint": None, "timeout": 0}, "tiers.0.timeout: 0 is given"),
        (
            {"name": "x", "share": 1, "checkpoint": "f", "model": "m"},
            "tiers.0: unknown key 'model'; allowed: checkpoint",
        ),
    ],
)
def test_a_mistake_about_a_tier_of_teachers_is_named(tier, said):
    with pytest.raises(InputError, match=said):
        load({"modifiers": {"teach": {"tiers": [tier]}}}, ROOT)


def test_entries_with_the_same_name_are_refused():
    suite = {"name": "b", "task": "gsm8k", "data": "x"}
    tier = {"name": "c", "share": 1, "reference": True}
    with pytest.raises(InputError) as error:
        load(
            {
                "sources": [SOURCE] * 2,
                "ask_suite": {"suites": [suite] * 3},
                "modifiers": {"teach": {"tiers": [tier] * 2}},
            },
            ROOT,
        )
    for line in ("sources: two of them have the same name, 'a'", "ask_suite.suites: two", "modifiers.teach.tiers: two"):
        assert line in str(error.value)


def test_all_mistakes_are_listed_at_once_one_to_a_line():
    change = {"seed": -1, "prune": {"method": "magic"}, "unknown": 1, "sources": [{"name": "a"}]}
    with pytest.raises(InputError) as error:
        load(change, ROOT)
    first, *lines = str(error.value).splitlines()
    assert first == "the configuration is not valid:"
    keys = [line.strip().partition(":")[0] for line in lines]
    assert keys == ["seed", "sources.0.domain", "prune.method", "top level"]


def test_checks_of_others_are_listed_with_our_own():
    def refuse(settings):
        return [f"chain: {len(settings.chain)} steps"]

    with pytest.raises(InputError, match=r"(?s)filter.length.*\n  chain: 6 steps"):
        load({"filter": {"length": {"least": 300}}}, ROOT, refuse)
    assert load({}, ROOT, lambda settings: []).seed == 0


# What may be left out


@pytest.mark.parametrize("section", ["modifiers", "router", "detector", "importance", "gguf", "score", "compare"])
def test_a_section_that_may_be_left_out_is_null(section):
    assert getattr(load({section: None}, ROOT), section) is None


def test_what_is_left_out_is_not_checked():
    everything = dict.fromkeys(("modifiers", "router", "detector", "importance", "gguf"))
    settings = load({"chain": [], "sources": [], "context": 256, **everything}, ROOT)
    assert settings.chain == settings.sources == []


def test_a_limit_that_is_null_is_not_asked_for():
    gates = load({"gates": {"merge": {"max_kl": None}, "round_weights": {"max_kl": 1}}}, ROOT).gates
    assert gates["merge"].max_kl is None
    assert gates["merge"].max_perplexity_ratio == 1.02
    assert gates["round_weights"].model_dump(exclude_none=True) == {"max_kl": 1}


def test_a_base_that_is_only_a_tokenizer_needs_its_folder():
    assert load({"base": {"kind": "tokenizer", "model": "my/tokenizer"}}, ROOT).base.model == "my/tokenizer"


def test_keys_that_a_source_leaves_out_have_defaults():
    hub = {"id": "a/b", "revision": "0" * 40, "file": "x/y.parquet"}
    sources = [SOURCE, {"name": "far", "domain": "code", "hub": hub, "path": None, "parts": 3}]
    near, far = load({"sources": sources}, ROOT).sources
    assert (near.parts, near.sample, near.weight, near.difficulty, near.shape) == (1, 1.0, 1.0, "medium", None)
    assert (far.parts, far.hub.file, far.path) == (3, "x/y.parquet", None)


def test_a_shape_is_a_name_or_the_names_of_fields():
    fields = {"instruction": "q", "response": "a", "system": "context"}
    sources = [SOURCE | {"shape": "alpaca"}, SOURCE | {"name": "b", "shape": fields}]
    named, own = load({"sources": sources}, ROOT).sources
    assert named.shape == "alpaca"
    assert (own.shape.instruction, own.shape.system, own.shape.input) == ("q", "context", None)


def test_tiers_of_teachers_are_of_three_kinds():
    paid = {
        "name": "dear",
        "share": 0.1,
        "endpoint": None,
        "model": "m",
        "key_variable": "KEY",
        "concurrency": 8,
        "retries": 4,
        "timeout": 60,
        "prices": {"input": 2, "output": 8},
        "budget": {"tokens": None, "cost": 25},
        "longest": 512,
    }
    tiers = [
        {"name": "own", "share": 1, "checkpoint": "results/merged", "samples": 4, "temperature": 0.7},
        paid,
        {"name": "known", "share": 1, "reference": True},
    ]
    teachers = load({"modifiers": {"teach": {"tiers": tiers}}}, ROOT).modifiers.teach.tiers
    assert [type(tier).__name__ for tier in teachers] == ["LocalTeacher", "PaidTeacher", "KnownAnswers"]
    assert teachers[1].budget.cost == 25


def test_settings_of_steps_that_are_not_in_the_chain_do_not_count(root):
    short = {"context": 64, "modifiers": None}
    with pytest.raises(InputError, match=r"adapt.training.length: 256 is more than context \(64\)"):
        load(short, root)
    assert load({**short, "chain": []}, root).context == 64


@pytest.mark.parametrize(("group", "said"), [("auto2", "did you mean 'auto'"), (7, "64"), ("64", "32, 64, 128")])
def test_a_choice_of_words_and_numbers_is_explained(group, said):
    with pytest.raises(InputError, match=f"quantize_awq.group: .*{said}"):
        load({"preset": "tiny", "quantize_awq": {"group": group}}, ROOT)
