"""The configuration: preset, overrides, schema, and the checks that no schema can express."""

import copy
from pathlib import Path
from typing import Any, cast

import jsonschema
import yaml

from lib.records import InputError

Config = dict[str, Any]
SCHEMA = Path("rules/config.schema.yaml")


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


def impossible(config: Config) -> list[str]:
    """Return one line for every combination of values that cannot work, though each alone is allowed."""
    found = []
    if sum(config["split"]["shares"].values()) >= 1:
        found.append(
            "split.shares: valid, routing and test together must be less than 1, or nothing is left to train on"
        )
    if config["filter"]["length"]["least"] > config["filter"]["length"]["most"]:
        found.append("filter.length: `least` is more than `most`")
    if config["gguf"]["serve"] not in config["gguf"]["types"]:
        found.append(f"gguf.serve: {config['gguf']['serve']!r} is not among gguf.types {config['gguf']['types']}")
    found += impossible_base(config)
    for step in ("adapt", "modifiers"):
        training = config[step]["training"]
        if training["length"] > config["context"]:
            found.append(f"{step}.training.length: {training['length']} is more than context ({config['context']})")
        if training["trainable_share"][0] > training["trainable_share"][1]:
            found.append(f"{step}.training.trainable_share: the least share is more than the most")
    if config["prune"]["structure"] == "2:4" and any(config["prune"]["ratios"].values()):
        found.append("prune.ratios: 2:4 is exactly one half everywhere; leave the ratios at 0, or use `unstructured`")
    names = [Path(source["path"]).name for source in config["sources"]]
    if len(set(names)) < len(names):
        found.append("sources: two sources have the same file name; records could not be told apart")
    return found


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
    validate(config, load_yaml(root / SCHEMA))
    return config
