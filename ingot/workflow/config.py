"""The configuration: preset, overrides, schema, and the checks that no schema can express."""

import copy
import glob
from pathlib import Path
from typing import Any, cast

import jsonschema
import yaml

from ingot.errors import InputError

Config = dict[str, Any]
SCHEMA = Path("rules/config.schema.yaml")
GENERATED = {
    "alpaca": "results/world/alpaca.jsonl",
    "messages": "results/world/messages.jsonl.gz",
    "question": "results/world/question.jsonl.zst",
}
NEED_SETTINGS = ("leftovers", "length", "secrets", "personal", "offensive", "gibberish", "repetition", "language")


def load_yaml(path: Path) -> Config:
    """Read a YAML mapping without running anything that it names; InputError for a broken or missing file."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: a mapping of keys to values is expected")
    return value


def merge(below: Config, above: Config) -> Config:
    """Return `below` with the values of `above` laid over it; mappings are merged, anything else is replaced."""
    merged = copy.deepcopy(below)
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def preset_path(name: str, root: Path) -> Path:
    """Return the file of a preset: a name of presets/, or a path to a YAML file."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else root / "presets" / f"{name}.yaml"
    if not path.exists():
        known = sorted(p.stem for p in (root / "presets").glob("*.yaml"))
        raise InputError(f"preset: {name!r} is not known; use one of {known}, or the path of a YAML file")
    return path


def explain(error: jsonschema.ValidationError) -> str:
    """Return one line for a violation: the key, what is wrong, and what is allowed there."""
    key = ".".join(str(part) for part in error.absolute_path) or "top level"
    rule = error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "additionalProperties":
        known = sorted(rule.get("properties", {}))
        unknown = sorted(key for key in cast(Config, error.instance) if key not in known)
        return f"{key}: unknown key {', '.join(map(repr, unknown))}; allowed: {', '.join(known)}"
    unit = f" (unit: {rule['unit']})" if "unit" in rule else ""
    about = f"; it is: {rule['description']}{unit}" if "description" in rule else ""
    return f"{key}: {error.message}{about}"


def impossible_base(config: Config) -> list[str]:
    """Return one line for everything that cannot work about the base."""
    found = []
    base = config["base"]
    if base["kind"] == "pretrain":
        shape = config["pretrain"]["shape"]
        if shape["hidden"] % shape["heads"]:
            found.append("pretrain.shape: `hidden` must be a multiple of `heads`")
        if shape["heads"] % shape["kv_heads"]:
            found.append("pretrain.shape: `heads` must be a multiple of `kv_heads`")
    elif not base["model"]:
        found.append(f"base.model: a base of kind {base['kind']!r} needs the hub id or the folder of a model")
    if base["kind"] == "hub" and not base["revision"]:
        found.append("base.revision: a hub model needs the revision (commit) that it is pinned to")
    return found


def impossible_names(config: Config) -> list[str]:
    """Return one line for every name that is given twice, or that nothing has."""
    found = []
    for key, entries in (("sources", config["sources"]), ("evaluate.suites", config["evaluate"]["suites"])):
        if len({entry["name"] for entry in entries}) < len(entries):
            found.append(f"{key}: two of them have the same name; they could not be told apart")
    rounds = ("targeted",) if config["target"]["rounds"] else ()
    own = ("base", "adapter", *rounds, "merged", "pruned", "recovered", "awq", *config["gguf"]["types"])
    named = {"evaluate.models": config["evaluate"]["models"]}
    if config["compare"]:
        named["compare"] = [config["compare"]["model"], config["compare"]["reference"]]
    for key, models in named.items():
        found += [
            f"{key}: {model} is not built; add it to gguf.types, or rounds to target"
            for model in models
            if model not in own
        ]
    return found


def impossible(config: Config) -> list[str]:
    """Return one line for every combination of values that cannot work, though each alone is allowed."""
    found = []
    if sum(config["split"]["shares"].values()) >= 1:
        found.append(
            "split.shares: valid, routing and test together must be less than 1, or nothing is left to train on"
        )
    length = config["filter"].get("length")
    if length and length["least"] > length["most"]:
        found.append("filter.length: `least` is more than `most`")
    if config["gguf"]["serve"] not in config["gguf"]["types"]:
        found.append(f"gguf.serve: {config['gguf']['serve']!r} is not among gguf.types {config['gguf']['types']}")
    found += impossible_base(config)
    for step in ("adapt", "target", "modifiers"):
        training = config[step]["training"]
        if training["length"] > config["context"]:
            found.append(f"{step}.training.length: {training['length']} is more than context ({config['context']})")
        if training["trainable_share"][0] > training["trainable_share"][1]:
            found.append(f"{step}.training.trainable_share: the least share is more than the most")
    if config["modifiers"]["cluster"]["least"] > config["modifiers"]["cluster"]["most"]:
        found.append("modifiers.cluster: `least` is more than `most`")
    if config["prune"]["structure"] == "2:4" and any(config["prune"]["ratios"].values()):
        found.append("prune.ratios: 2:4 is exactly one half everywhere; leave the ratios at 0, or use `unstructured`")
    found += impossible_names(config)
    missing = [name for name in config["filter"]["order"] if name in NEED_SETTINGS and name not in config["filter"]]
    found += [f"filter.{name}: it is in filter.order, but has no settings" for name in missing]
    for field, wishes in config["balance"]["mix"].items():
        if wishes and abs(sum(wishes.values()) - 1) > 1e-6:
            found.append(f"balance.mix.{field}: the shares add up to {sum(wishes.values()):g}, and not to 1")
    return found


def with_defaults(config: Config, schema: Config) -> None:
    """Give each source and suite the values of the keys that it leaves out, as the schema states them."""
    suites = schema["properties"]["evaluate"]["properties"]["suites"]
    for entries, about in (
        (config["sources"], schema["properties"]["sources"]),
        (config["evaluate"]["suites"], suites),
    ):
        defaults = {key: one["default"] for key, one in about["items"]["properties"].items() if "default" in one}
        for entry in entries:
            entry |= {key: value for key, value in defaults.items() if key not in entry}


def files_of(source: Config) -> list[str]:
    """Return the files of a source, in the order of their names; InputError if a pattern has none."""
    if "hub" in source:
        return [f"results/hub/{source['name']}/{source['hub']['file']}"]
    if "generator" in source:
        return [GENERATED[source["generator"]]]
    if not glob.has_magic(source["path"]):
        return [source["path"]]
    if found := sorted(path for path in glob.glob(source["path"], recursive=True) if Path(path).is_file()):  # noqa: PTH207
        return found
    raise InputError(f"sources: {source['name']}: no file is called like {source['path']}")


def units_of(config: Config) -> dict[tuple[str, str], Config]:
    """Return the parts in which the sources are read: {(source, part): its settings, `file` and `shard`}."""
    units: dict[tuple[str, str], Config] = {}
    for source in config["sources"]:
        for file in files_of(source):
            for shard in range(source["shards"]):
                part = f"{Path(file).name}.{shard}"
                if (source["name"], part) in units:
                    raise InputError(f"sources: {source['name']}: two of its files are called {Path(file).name}")
                units[source["name"], part] = {**source, "file": file, "shard": shard}
    return units


def task_file(name: str, root: Path) -> Path:
    """Return the task file of a suite: a name of suites/, or a path; InputError if there is none."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else root / "suites" / f"{name}.yaml"
    if not path.exists():
        known = sorted(p.stem for p in (root / "suites").glob("*.yaml"))
        raise InputError(f"evaluate.suites: the task {name!r} is not known; use one of {known}, or the path of a file")
    return path


def validate(config: Config, schema: Config) -> None:
    """Raise InputError listing everything that is wrong with the configuration."""
    checker = jsonschema.Draft202012Validator(schema)
    problems = [explain(e) for e in sorted(checker.iter_errors(config), key=lambda e: list(map(str, e.absolute_path)))]
    problems = problems or impossible(config)
    if problems:
        raise InputError("the configuration is not valid:\n  " + "\n  ".join(problems))


def load(given: Config, root: Path) -> Config:
    """Return the complete, valid configuration for what the user gave: a preset and anything that overrides it."""
    name = given.get("preset", "tiny")
    if not isinstance(name, str):
        raise InputError(f"preset: {name!r} is not the name of a preset")
    config = merge(load_yaml(preset_path(name, root)), given)
    config["preset"] = name
    schema = load_yaml(root / SCHEMA)
    validate(config, schema)
    with_defaults(config, schema)
    return config
