"""The settings in plain words: what is allowed where, and what is wrong with a configuration."""

import contextlib
import difflib
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from ingot.settings.everything import Settings
from ingot.settings.section import PROBLEM

Node = dict[str, Any]
"""A place in the JSON schema of the settings."""
LONGEST = 80  # characters of an offending value that are shown
HERE = "top level"


class Place(NamedTuple):
    """Where a problem is: the key as a person writes it, the schema there, and what the setting is."""

    key: str
    node: Node
    about: str


@functools.cache
def schema() -> Node:
    """Make the JSON schema of all settings."""
    return Settings.model_json_schema()


def resolve(node: Node) -> Node:
    """Follow a reference to a section; what stands beside it, such as a description, wins."""
    if "$ref" not in node:
        return node
    section = schema()["$defs"][node["$ref"].rpartition("/")[2]]
    return {**section, **{key: value for key, value in node.items() if key != "$ref"}}


def alternatives(node: Node) -> list[Node]:
    """List what a value may be, null apart."""
    options = node.get("anyOf") or node.get("oneOf")
    if options is None:
        return [node]
    return [choice for option in options if option.get("type") != "null" for choice in alternatives(option)]


def takes_null(node: Node) -> bool:
    """Tell whether a value may be null."""
    return any(option.get("type") == "null" for option in node.get("anyOf", []))


def number(value: float) -> str:
    """Write a limit: 2,147,483,647 or 0.9."""
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def allowed_number(node: Node) -> str:
    """Say what a number may be, such as "a number from 0 to 1"."""
    kind = "a whole number" if node["type"] == "integer" else "a number"
    low, above, high, below = (
        number(node[limit]) if limit in node else ""
        for limit in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
    )
    if low and high:
        return f"{kind} from {low} to {high}"
    if low:
        return f"{kind} from {low} to below {below}" if below else f"{kind} of {low} or more"
    parts = [("above", above), ("up to", high), ("below", below)]
    return f"{kind} {' and '.join(f'{word} {limit}' for word, limit in parts if limit)}".strip()


def allowed_list(node: Node) -> str:
    """Say what a list may be."""
    if "prefixItems" in node:
        return f"a list of {len(node['prefixItems'])}, each {allowed(node['prefixItems'][0])}"
    least = ", at least one" if node.get("minItems") else ""
    different = ", none twice" if node.get("uniqueItems") else ""
    return f"a list, each {allowed(node['items'])}{least}{different}"


def of_each_key(node: Node) -> Node:
    """Return the schema of the values of a mapping; {} if its keys are those of a section."""
    of_keys = list(node.get("patternProperties", {}).values())
    values = of_keys[0] if of_keys else node.get("additionalProperties")
    return dict(values) if isinstance(values, dict) else {}


def allowed_mapping(node: Node) -> str:
    """Say what a mapping may be."""
    if "properties" in node:
        return f"a mapping of {', '.join(node['properties'])}"
    keys = node.get("propertyNames", {})
    named = f" with keys among {', '.join(keys['enum'])}" if "enum" in keys else ""
    named = f", each key {keys['form']}" if "form" in keys else named
    return f"a mapping{named}, each value {allowed(of_each_key(node))}"


def allowed(node: Node) -> str:
    """Say in words what a value may be."""
    if takes_null(node):
        return f"null, or {allowed({'oneOf': alternatives(node)})}"
    choices = alternatives(node)
    if len(choices) > 1:
        return ", or ".join(allowed(choice) for choice in choices)
    node = resolve(choices[0])
    if "const" in node:
        return shown(node["const"])
    if "enum" in node:
        return f"one of {', '.join(map(str, node['enum']))}"
    kinds = {"array": allowed_list, "object": allowed_mapping, "integer": allowed_number, "number": allowed_number}
    words = {"boolean": "true or false", "string": str(node.get("form", "a text"))}
    return words.get(node["type"]) or kinds[node["type"]](node)


def one_line(value: Any) -> str:
    """Write a value as YAML on one line."""
    try:
        text = yaml.safe_dump([value], default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    except yaml.YAMLError:  # an object that no YAML file can hold
        return repr(value)
    return text.strip()[1:-1]


def shown(value: Any) -> str:
    """Write an offending value so that text, numbers and null are told apart; cut if it is long."""
    text = repr(value) if isinstance(value, str) else one_line(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def choose(node: Node, tag: str) -> Node:
    """Return the alternative that a value was taken for: a section by its name, or all that are no sections."""
    options = alternatives(node)
    sections = [option for option in options if option.get("$ref", "").endswith(f"/{tag}")]
    others = [option for option in options if "$ref" not in option]
    return sections[0] if sections else {"anyOf": others or options[:1]}


def child(node: Node, part: int | str) -> Node:
    """Return the schema of an entry of a list, or of the value of a key; {} for a key that is not known."""
    node = resolve(node)
    if isinstance(part, int):
        entries: list[Node] = node.get("prefixItems", [])
        return entries[part] if part < len(entries) else dict(node.get("items", {}))
    return dict(node.get("properties", {}).get(part) or of_each_key(node))


def place_of(location: Sequence[int | str]) -> Place:
    """Find a place in the settings; where there is a choice, its location holds the name of what was chosen."""
    node, keys, about = schema(), [], ""
    for part in location:
        choices = alternatives(node)
        if len(choices) > 1:
            node = choose(node, str(part))
            continue
        node = child(choices[0], part)
        keys.append(str(part))
        described = resolve(alternatives(node)[0]) if "description" not in node else resolve(node)
        about = described.get("description", "").partition("\n")[0].rstrip(".") or about
        about += f" (unit: {node['unit']})" if "unit" in node else ""
    return Place(".".join(keys) or HERE, node, about)


def guess(word: str, words: Sequence[str]) -> str:
    """Ask for the likeliest of the words that somebody may have meant, or say nothing."""
    likely = difflib.get_close_matches(word, [one for one in words if isinstance(one, str)], n=1, cutoff=0.7)
    return f" (did you mean {likely[0]!r}?)" if likely else ""


def hint(value: Any, choices: Sequence[Node]) -> str:
    """Say how YAML came to read a value as something else than was meant, if that is likely."""
    kinds = {choice.get("type") for choice in choices}
    words = [word for choice in choices for word in choice.get("enum", [])]
    if "string" in kinds and isinstance(value, bool | int | float):
        unlikely = words and all(not isinstance(word, str) or yaml.safe_load(word) == word for word in words)
        read_as = "yes, no, on and off as true and false" if isinstance(value, bool) else "it as a number"
        return "" if unlikely else f"; YAML reads {read_as}: put the text in quotes"
    if kinds & {"integer", "number"} and isinstance(value, str):
        for kind in (int, float):
            with contextlib.suppress(ValueError):
                return f"; YAML reads this as text: write {one_line(kind(value))}, without quotes"
    return ""


def unknown_key(key: str, place: Place) -> str:
    """Say that a key is not known, and which are."""
    choices = [resolve(choice) for choice in alternatives(place.node)]
    words = [word for choice in choices for word in sorted(choice.get("properties", {}))]
    words += [word for choice in choices for word in choice.get("propertyNames", {}).get("enum", [])]
    forms = [choice["propertyNames"]["form"] for choice in choices if "form" in choice.get("propertyNames", {})]
    if forms:
        return f"{place.key}: {key!r} is no key here; {forms[0]} is needed"
    return f"{place.key}: unknown key {key!r}{guess(key, words)}; allowed: {', '.join(words) or 'only texts'}"


def wrong_value(value: Any, place: Place) -> str:
    """Say which value is wrong, what is needed there, and what the setting is."""
    choices = [resolve(choice) for choice in alternatives(place.node)]
    words = [word for choice in choices for word in choice.get("enum", [])]
    meant = guess(value, words) if isinstance(value, str) else ""
    needed = f"{allowed(place.node)} is needed{meant}{hint(value, choices)}"
    return f"{place.key}: {shown(value)} is given, {needed}; it is: {place.about}"


def explain(error: ValidationError) -> list[str]:
    """Say in one line each what is wrong, where, and what is allowed there."""
    lines = []
    for detail in error.errors(include_url=False):
        location, kind = list(detail["loc"]), detail["type"]
        if kind == PROBLEM:
            lines.append(f"{place_of(location).key}: {detail['msg']}")
        elif kind in ("extra_forbidden", "invalid_key"):
            lines.append(unknown_key(str(location[-1]), place_of(location[:-1])))
        elif location[-1:] == ["[key]"]:
            lines.append(unknown_key(str(location[-2]), place_of(location[:-2])))
        elif kind == "missing" and isinstance(location[-1], str):
            place = place_of(location)
            lines.append(f"{place.key}: missing, {allowed(place.node)} is needed; it is: {place.about}")
        elif kind == "missing":  # a list of two that has one entry is wrong as a whole
            lines.append(wrong_value(detail["input"], place_of(location[:-1])))
        else:
            lines.append(wrong_value(detail["input"], place_of(location)))
    return list(dict.fromkeys(lines))  # what fits none of several alternatives is an error for each
