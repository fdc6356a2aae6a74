"""From presets and overrides to settings: files that extend each other, laid over each other, checked as a whole."""

import copy
import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ingot.errors import InputError
from ingot.settings.checks import problems
from ingot.settings.everything import Settings
from ingot.settings.wording import explain

Given = dict[str, Any]
Check = Callable[[Settings], list[str]]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
PRESETS = "presets"
DEFAULTS = "defaults"
USUAL = "tiny"
"""The preset of a configuration that names none."""


def read_mapping(path: Path) -> Given:
    """Read a YAML mapping without running anything that it names; InputError for a broken or missing file."""
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506  (both are safe)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: a mapping of keys to values is expected")
    return value


def merge(below: Given, above: Given) -> Given:
    """Lay the values of `above` over `below`; mappings are merged, anything else is replaced."""
    merged = copy.deepcopy(below)
    for key, value in above.items():
        if isinstance(value, dict):
            present = merged.get(key)
            merged[key] = merge(present if isinstance(present, dict) else {}, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def preset_file(name: Any, root: Path, said_by: str = "preset") -> Path:
    """Find the file of a preset: a name in the folder of presets, or the path of a YAML file.

    `said_by` is the key that names it, for the message of an InputError.
    """
    if not isinstance(name, str):
        raise InputError(f"{said_by}: {name!r} is not the name of a preset, nor the path of a YAML file")
    folder = root / PRESETS
    path = Path(name) if name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"
    if not path.is_file():
        names = sorted(file.stem for file in folder.glob("*.yaml"))
        likely = difflib.get_close_matches(name, names, n=1)
        meant = f" (did you mean {likely[0]!r}?)" if likely else ""
        raise InputError(f"{said_by}: {name!r} is not known{meant}; use one of {names}, or the path of a YAML file")
    return path


def layers(name: Any, root: Path) -> list[tuple[Path, Given]]:
    """Read a preset, what it extends, and so on to the defaults, which extend nothing."""
    path, defaults = preset_file(name, root), preset_file(DEFAULTS, root).resolve()
    read: list[tuple[Path, Given]] = []
    while True:
        earlier = [file for file, _ in read]
        if path.resolve() in [file.resolve() for file in earlier]:
            circle = " -> ".join(map(str, [*earlier, path]))
            raise InputError(f"presets extend each other in a circle: {circle}")
        given = read_mapping(path)
        read.append((path, given))
        if "preset" in given:
            raise InputError(f"{path}: `preset` is for config.yaml; in a preset, `extends` names another one")
        following = given.pop("extends", None)
        if path.resolve() == defaults:
            if following is not None:
                raise InputError(f"{path}: the defaults extend nothing; remove `extends`")
            return read
        path = preset_file(DEFAULTS if following is None else following, root, f"{path}: extends")


def preset_files(name: str, root: Path) -> list[Path]:
    """List the files that a preset consists of: itself, what it extends, and so on to the defaults."""
    return [path for path, _ in layers(name, root)]


def load(given: Given, root: Path, more_checks: Check | None = None) -> Settings:
    """Make the complete settings of what config.yaml says: a preset, and anything that overrides it.

    Args:
        given: `preset` and overrides.
        root: the folder that has the presets.
        more_checks: what else to check; it lists problems, in one line each.

    Raises:
        InputError: for files that cannot be used, or listing everything that is wrong with the configuration.
    """
    if "extends" in given:
        raise InputError("extends: this is for presets; in config.yaml, `preset` names the one to use")
    name = given.get("preset", USUAL)
    whole: Given = {}
    for _, layer in reversed(layers(name, root)):
        whole = merge(whole, layer)
    whole = merge(whole, {**given, "preset": name})
    try:
        settings = Settings.model_validate(whole)
    except ValidationError as error:
        raise invalid(explain(error)) from None
    lines = problems(settings) + (more_checks(settings) if more_checks else [])
    if lines:
        raise invalid(lines)
    return settings


def invalid(lines: list[str]) -> InputError:
    """Make the error that lists everything that is wrong."""
    return InputError("the configuration is not valid:\n  " + "\n  ".join(lines))
