"""YAML 1.2, as DVC reads and writes it. PyYAML is fast, but speaks 1.1.

In 1.1, `1e-05` is text and `no` is false. A lock that is read that way has other settings than those that were used.
"""

import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

RESOLVERS = [
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("tag:yaml.org,2002:merge", r"<<", "<"),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN"),
]
MOST_NODES = 10_000_000
PERHAPS_ALIAS = re.compile(rb"(?:^|[\s\[,:?-])\*[^\s*]")


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A safe loader of YAML 1.2."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """A safe dumper. It quotes texts that either version would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out, since DVC has no use for anchors."""
        return True


for tag, pattern, first in RESOLVERS:
    expression = re.compile(f"^(?:{pattern})$")
    Loader.add_implicit_resolver(tag, expression, [*first, *([""] if tag.endswith("null") else [])])
    Dumper.add_implicit_resolver(tag, expression, list(first))


def parse(text: bytes | str) -> Any:
    """Read a YAML text. yaml.YAMLError if it is not valid, or if its aliases stand for more than any memory holds."""
    value = yaml.load(text, Loader=Loader)  # noqa: S506  (a safe loader)
    if PERHAPS_ALIAS.search(text.encode() if isinstance(text, str) else text) and nodes(value, {}) > MOST_NODES:
        raise yaml.YAMLError(f"its aliases (*name) stand for more than {MOST_NODES:,} values")
    return value


def nodes(value: Any, known: dict[int, int]) -> int:
    """Count the values in a value, with what its aliases stand for. Each is looked at once."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = MOST_NODES  # until it is known: it may hold itself
        inside = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(nodes(one, known) for one in inside)
    return known[id(value)]


def load(path: Path) -> dict[str, Any]:
    """Read the mapping in a YAML file. It is empty if there is no such file."""
    try:
        return parse(path.read_bytes()) or {}
    except FileNotFoundError:
        return {}


def dump(value: Any) -> bytes:
    """Write YAML text, with keys in the order given."""
    return yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1000, encoding="utf-8")
