import copy

import pytest
import yaml

from ingot.errors import InputError
from ingot.workflow.config import load, load_yaml, merge, units_of

PRESETS = ["tiny", "llama-3.2-1b", "llama-3.1-8b"]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_valid(root, preset):
    assert load({"preset": preset}, root)["preset"] == preset


def test_every_key_of_the_schema_is_described(root):
    """A key is described where it stands, or by what it refers to, or it is a group whose keys are."""
    schema = load_yaml(root / "rules/config.schema.yaml")

    def walk(node, path):
        for name, child in node.get("properties", {}).items():
            where = f"{path}.{name}"
            target = schema["$defs"][child["$ref"].rpartition("/")[2]] if "$ref" in child else child
            if "properties" in target or "patternProperties" in target:
                walk(target, where)
            elif "description" not in child and "description" not in target and where not in explained_by_parent:
                undescribed.append(where)

    parts = ("prune.ratios.attention", "prune.ratios.feed_forward")
    plants = schema["properties"]["generate"]["properties"]["plants"]["properties"]
    explained_by_parent = {f".{part}" for part in parts} | {f".generate.plants.{kind}" for kind in plants}
    undescribed = []
    walk(schema, "")
    assert undescribed == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"adapt": {"training": {"rnak": 8}}}, r"adapt.training: unknown key 'rnak'; allowed: .*rank"),
        ({"unknown": 1}, "top level: unknown key 'unknown'"),
        ({"seed": "zero"}, "seed: 'zero' is not of type 'integer'.*Seed of everything random"),
        ({"adapt": {"training": {"dropout": 2}}}, r"adapt.training.dropout: 2 is greater than the maximum of 0.9"),
        ({"prune": {"method": "magic"}}, r"prune.method: 'magic' is not one of \['sparsegpt', 'wanda'\]"),
        ({"gguf": {"types": ["F16", "Q9_X"]}}, "gguf.types.1: 'Q9_X' is not one of"),
        ({"read": {"row_bytes": 1}}, "read.row_bytes.*unit: bytes"),
        ({"preset": "huge"}, r"preset: 'huge' is not known; use one of .*tiny"),
        ({"preset": 5}, "preset: 5 is not the name"),
        ({"split": {"shares": {"valid": 0.5, "test": 0.5}}}, "must be less than 1"),
        ({"gguf": {"serve": "Q2_K"}}, "gguf.serve: 'Q2_K' is not among"),
        ({"base": {"kind": "hub"}}, "base.model: a base of kind 'hub' needs"),
        ({"base": {"kind": "hub", "model": "a/b"}}, "base.revision"),
        ({"prune": {"ratios": {"attention": 0.6}}}, "2:4 is exactly one half"),
        ({"pretrain": {"shape": {"heads": 3}}}, "`hidden` must be a multiple"),
        ({"modifiers": {"training": {"length": 4096}}}, "modifiers.training.length: 4096 is more than context"),
        ({"filter": {"length": {"least": 300}}}, "`least` is more than `most`"),
        ({"sources": [{"name": "a", "path": "x", "domain": "code"}] * 2}, "sources: two of them have the same name"),
        ({"sources": [{"name": "a", "domain": "code"}]}, "sources.0: .* is not valid under any"),
        ({"sources": [{"name": "a", "domain": "code", "path": "x", "shape": "alpakka"}]}, "sources.0.shape"),
        ({"balance": {"mix": {"domain": {"code": 0.7}}}}, "the shares add up to 0.7"),
        ({"filter": {"appeals": ["no id"]}}, "filter.appeals.0: 'no id' does not match"),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(root, change, said):
    with pytest.raises(InputError, match=said):
        load(change, root)


def test_yaml_runs_no_code(tmp_path):
    (tmp_path / "evil.yaml").write_text("a: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(InputError, match=r"evil\.yaml: not valid YAML"):
        load_yaml(tmp_path / "evil.yaml")


def test_overrides_are_merged_and_lists_replaced():
    below = {"a": {"b": 1, "c": [1, 2]}, "d": 3}
    before = copy.deepcopy(below)
    assert merge(below, {"a": {"c": [9]}}) == {"a": {"b": 1, "c": [9]}, "d": 3}
    assert below == before


def test_the_documents_training_settings_are_in_the_8b_preset(root):
    training = load({"preset": "llama-3.1-8b"}, root)["adapt"]["training"]
    wanted = yaml.safe_load(
        """
        {rank: 64, alpha: 16, dropout: 0.05, quantization: {type: nf4, double: true}, length: 1024, packing: true,
         batch: 32, accumulation: 2, epochs: 3, learning_rate: 0.000005, schedule: cosine, warmup: 500,
         weight_decay: 0.01, clip: 1.0, optimizer: adamw_8bit}
        """
    )
    assert {key: training[key] for key in wanted} == wanted
    assert len(training["target_modules"]) == 7


def test_sources_are_cut_into_parts_file_by_file(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.jsonl", "a.jsonl"):
        (tmp_path / name).touch()
    sources = [
        {"name": "many", "path": "*.jsonl", "domain": "code", "shards": 2},
        {"name": "one", "path": "absent.csv", "domain": "code"},
        {"name": "far", "hub": {"id": "a/b", "revision": "0" * 40, "file": "x/y.parquet"}, "domain": "code"},
    ]
    units = units_of(load({"sources": sources}, root))
    parts = ["a.jsonl.0", "a.jsonl.1", "b.jsonl.0", "b.jsonl.1"]
    assert list(units) == [*(("many", part) for part in parts), ("one", "absent.csv.0"), ("far", "y.parquet.0")]
    assert units["many", "b.jsonl.1"]["file"] == "b.jsonl"
    assert units["far", "y.parquet.0"]["file"] == "results/hub/far/x/y.parquet"
    assert units["one", "absent.csv.0"]["difficulty"] == "medium"
    with pytest.raises(InputError, match=r"many: no file is called like \*\.txt"):
        units_of(load({"sources": [sources[0] | {"path": "*.txt"}]}, root))
