"""The defaults as they are written: every setting with its value, what is allowed there, and the comment on it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ingot.settings.wording import Node, alternatives, child, of_each_key, one_line, resolve, schema

MERGE = "tag:yaml.org,2002:merge"


class Setting(NamedTuple):
    """A key of the defaults, with what its value looks like there.

    A `group` has keys of its own, which follow; those that it does not have are `like` those of another group.
    """

    key: str
    node: Node
    text: str
    comment: str
    group: bool = False
    like: str = ""


class Written:
    """The text of the defaults, with the places of its keys and values."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text(encoding="utf-8")
        self.lines = self.text.splitlines()
        self.names: dict[int, str] = {}
        """Key of each group, by the identity of its node, to tell what an alias repeats."""

    def settings(self) -> Iterator[Setting]:
        """Yield every setting in the order of the file, groups before what is in them."""
        values, whole = yaml.safe_load(self.text), yaml.compose(self.text, Loader=yaml.SafeLoader)
        assert isinstance(whole, yaml.MappingNode), "the defaults were loaded as a mapping"
        yield from self.walk(whole, values, schema(), "")

    def walk(self, mapping: yaml.MappingNode, values: dict[str, Any], node: Node, above: str) -> Iterator[Setting]:
        """Yield the settings of a mapping, given its values, its schema, and the keys `above` it."""
        for key_node, value_node in mapping.value:
            if key_node.tag == MERGE:
                continue
            key = f"{above}{key_node.value}"
            value, part = values[key_node.value], child(alternatives(node)[0], key_node.value)
            comment = self.comment(key_node, value_node)
            if isinstance(value_node, yaml.ScalarNode):
                text = self.text[value_node.start_mark.index : value_node.end_mark.index]
            else:
                text = one_line(value)
            if not isinstance(value_node, yaml.MappingNode) or value_node.flow_style:
                yield Setting(key, part, text, comment)
                continue
            self.names[id(value_node)] = key
            merged = next((pair for pair in value_node.value if pair[0].tag == MERGE), None)
            if merged:
                comment = " ".join(filter(None, (comment, self.comment(*merged))))
            yield Setting(key, part, "", comment, group=True, like=self.names[id(merged[1])] if merged else "")
            yield from self.walk(value_node, value, part, f"{key}.")

    def comment(self, key: yaml.Node, value: yaml.Node) -> str:
        """Return the comment on the lines above a key and, behind it, the one at its end."""
        start = key.start_mark.line
        first = start
        while first and self.is_comment(first - 1, key.start_mark.column):
            first -= 1
        parts = [line.strip().removeprefix("#").strip() for line in self.lines[first:start]]
        # The places of an alias are those of what it repeats: its own line says more.
        apart = value.start_mark.line > start or value.start_mark.index < key.start_mark.index
        mark = key.end_mark if apart else value.end_mark
        parts.append(self.lines[mark.line][mark.column :].partition("#")[2].strip())
        return " ".join(filter(None, parts))

    def is_comment(self, line: int, column: int) -> bool:
        """Tell whether a line is nothing but a comment, as far in as the key below it."""
        text = self.lines[line]
        return text.startswith("#", column) and not text[:column].strip()


def sections_of(node: Node) -> list[Node]:
    """List the sections that an entry of a list or mapping, or a value that may be null, can be."""
    sections = []
    for choice in map(resolve, alternatives(node)):
        if "properties" in choice:
            sections.append(choice)
        for inner in (choice.get("items"), of_each_key(choice)):
            if inner:
                sections += sections_of(inner)
    return sections


def uncommented(settings: Sequence[Setting]) -> list[str]:
    """List the keys that say nothing of what a change does."""
    return [setting.key for setting in settings if not setting.comment and (setting.like or not setting.group)]
