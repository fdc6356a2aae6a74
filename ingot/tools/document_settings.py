"""Write docs/settings.md and the schema for editors: `python -m ingot.tools.document_settings [--check]`."""

import argparse
import copy
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ingot.settings.defaults import Setting, Written, sections_of
from ingot.settings.load import DEFAULTS, PRESETS
from ingot.settings.wording import Node, allowed, alternatives, one_line, resolve, schema, takes_null
from ingot.workflow.build import GGUF
from ingot.workflow.chain import KINDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = "docs/settings.md"
EDITOR_SCHEMA = "settings.schema.json"
INTRODUCTION = """\
# Settings

<!-- Made by `python -m ingot.tools.document_settings` of ingot/settings/ and presets/defaults.yaml: edit those. -->

`config.yaml` names a preset and says what differs from it. A preset is a YAML file that says what differs
from the one it `extends`, and so on down to `defaults`, which has every setting once. Mappings are merged.
Lists and single values are replaced. A preset of yours may lie anywhere:

```yaml
# my/preset.yaml
extends: tiny  # a name in presets/, or a path; a preset without this line extends `defaults`
adapt: {training: {rank: 32}}
```

```yaml
# config.yaml
preset: my/preset.yaml
```

Ingot checks everything before it builds anything, and lists all mistakes at once: unknown keys, values out
of range, combinations that cannot work. A text is not taken for a number, nor 1 for true.

Editors that know JSON Schema complete the keys and show what they are. Begin your file with
`# yaml-language-server: $schema=presets/settings.schema.json`.
"""


def cell(text: str) -> str:
    """Make text fit into a cell of a table."""
    return " ".join(text.replace("|", "\\|").split())


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines) + "\n"


def values_of(node: Node) -> str:
    """Say what is allowed, and in which unit; the keys of sections have rows of their own."""
    if not sections_of(node):
        unit = node.get("unit")
        return allowed(node) + (f" ({unit})" if unit else "")
    choices = [resolve(choice) for choice in alternatives(node)]
    words = ["null"] if takes_null(node) else []
    for choice in choices:
        if choice.get("type") == "array":
            words.append("a list; an entry has the keys below")
        else:
            words.append("the keys below" if "properties" in choice else allowed(choice))
    return ", or ".join(words)


def meaning(node: Node) -> str:
    """Return what a setting is; of a section the first line."""
    described = node if "description" in node else resolve(alternatives(node)[0])
    return str(described.get("description", "")).partition("\n")[0].rstrip(".")


def row_of(setting: Setting) -> list[str]:
    """Lay out a setting of the defaults."""
    name = f"`{setting.key}`"
    if setting.like:
        return [name, "", f"as `{setting.like}`, but for what follows", meaning(setting.node), setting.comment]
    if setting.group:
        return [name, "", "", meaning(setting.node), setting.comment]
    return [name, values_of(setting.node), f"`{setting.text}`", meaning(setting.node), setting.comment]


def fields_of(section: Node, above: str = "") -> Iterator[list[str]]:
    """Lay out the keys of a section, and of the sections in it."""
    needed = section.get("required", [])
    for name, node in section["properties"].items():
        default = "is needed" if name in needed else f"`{one_line(node['default'])}`"
        yield [f"`{above}{name}`", values_of(node), default, meaning(node)]
        for inner in sections_of(node):
            yield from fields_of(inner, f"{above}{name}.")


def entries(settings: Sequence[Setting]) -> Iterator[str]:
    """Describe the sections that the defaults do not spell out: entries of lists, and what is null there."""
    described = set()
    for setting in settings:
        for section in [] if setting.group else sections_of(setting.node):
            if section["title"] not in described:
                described.add(section["title"])
                yield f"### {words_of(section['title'])}\n"
                yield section["description"] + "\n"
                yield table(["key", "values", "if left out", "what it is"], list(fields_of(section)))


def words_of(title: str) -> str:
    """Write the name of a class as words: LocalTeacher is a "Local teacher"."""
    return re.sub(r"(?<!^)([A-Z])", lambda capital: f" {capital.group(1).lower()}", title)


def chapters(settings: Sequence[Setting]) -> Iterator[tuple[str, list[Setting]]]:
    """Put settings together that are in one section; those in none come first."""
    alone = [leaf for leaf in settings if "." not in leaf.key and not leaf.group and not sections_of(leaf.node)]
    yield "In general", alone
    for top in (setting for setting in settings if "." not in setting.key and setting not in alone):
        yield top.key, [setting for setting in settings if setting.key.partition(".")[0] == top.key]


def chapter(title: str, members: Sequence[Setting]) -> Iterator[str]:
    """Lay out a chapter: what the section is, its settings, and the sections that those hold."""
    head, rows = members[0], list(members)
    yield f"## {title}\n"
    if head.group:
        yield f"{meaning(head.node)}.\n"
        if head.comment:
            yield f"{head.comment}\n"
        rows = rows[1:]
    yield table(["setting", "values", "default", "what it is", "when to change it"], list(map(row_of, rows)))
    yield from entries(rows)


def page(defaults: Path) -> str:
    """Make the page on all settings."""
    settings = list(Written(defaults).settings())
    return "\n".join([INTRODUCTION, *(part for about in chapters(settings) for part in chapter(*about))])


def references(node: Any) -> set[str]:
    """List the sections that a part of the schema refers to, but for entries of lists."""
    if isinstance(node, list):
        return set().union(*map(references, node))
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"].rpartition("/")[2]} if "$ref" in node else set()
    return own.union(*(references(value) for key, value in node.items() if key != "items"))


def in_part(sections: Node, whole: Node) -> set[str]:
    """List the sections of which a preset may say a part, because others say the rest: all but entries of lists."""
    reached: set[str] = set()
    waiting = references(whole)
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= references(sections[name]) - reached
    return reached


def tidy(node: Any) -> Any:
    """Take out of a schema what editors do not show, and put units into descriptions."""
    if isinstance(node, list):
        return [tidy(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    kept = {key: tidy(value) for key, value in node.items() if key not in ("unit", "form") or isinstance(value, dict)}
    if isinstance(node.get("title"), str):
        del kept["title"]
    if isinstance(node.get("unit"), str):
        kept["description"] = f"{kept['description']} (unit: {node['unit']})"
    return kept


def editor_schema() -> str:
    """Make the JSON schema of config.yaml and of presets, which may say any part of the settings."""
    whole = copy.deepcopy(schema())
    sections = whole.pop("$defs")
    del whole["required"], whole["title"], whole["description"]
    for name in in_part(sections, whole):
        sections[name].pop("required", None)
    # What the section's own check says, that editors may say it, too.
    sections["Source"]["oneOf"] = [{"required": [origin]} for origin in ("path", "hub", "generator")]
    extends = {
        "type": "string",
        "description": "In a preset: the name or path of another one, of which it says what differs",
    }
    whole["properties"]["extends"] = extends
    # The steps that there are, and so the gates, are those of the table of kinds.
    whole["properties"]["chain"]["items"]["enum"] = list(KINDS)
    whole["properties"]["gates"]["propertyNames"] = {"enum": [*KINDS, GGUF]}
    about = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of Ingot: config.yaml, or a preset",
        "description": "Made by python -m ingot.tools.document_settings of ingot/settings/",
    }
    return json.dumps({**about, **tidy({**whole, "$defs": sections})}, indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write page and schema, or with --check only tell whether they are as they should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a file is out of date")
    parser.add_argument("--presets", type=Path, default=ROOT / PRESETS, help="folder of the presets")
    options = parser.parse_args(arguments)
    texts = {
        ROOT / PAGE: page(options.presets / f"{DEFAULTS}.yaml"),
        options.presets / EDITOR_SCHEMA: editor_schema(),
    }
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if options.check:
            sys.stderr.write(f"{path} is out of date: run python -m ingot.tools.document_settings\n")
        else:
            path.write_text(texts[path], encoding="utf-8")
    return int(options.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
