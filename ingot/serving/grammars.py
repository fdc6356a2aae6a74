"""Turn a JSON schema into a grammar that lets only answers pass which fit it. What has no grammar is refused.

llama-cpp-python converts. Its converter ignores what it does not know, so a schema is checked before: each key by name,
and how large the grammar would be, since llama.cpp bears no large ones. References are put in their places first.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from ingot.errors import InputError

# What a schema may say of a value, by what decides its form.
NOTES = {"title", "description", "default", "examples", "$schema", "$id", "$comment", "deprecated"}
DEFINITIONS = ("$defs", "definitions")
FORMS: dict[str, set[str]] = {
    "anyOf": set(),
    "oneOf": set(),
    "const": {"type"},
    "enum": {"type"},
    "properties": {"type", "required", "additionalProperties"},
    "prefixItems": {"type"},
    "items": {"type", "minItems", "maxItems"},
    "format": {"type"},
    "type": {"minLength", "maxLength", "additionalProperties"},
}
FORMATS = {"uuid", "uuid1", "uuid2", "uuid3", "uuid4", "uuid5", "date", "time", "date-time"}
COUNTS = {"minItems", "maxItems", "minLength", "maxLength"}
DEEPEST, LONGEST, MOST, MOST_PARTS, MOST_REPEATED = 32, 1 << 16, 900, 500, 5000
"""How deep a schema may be nested, how many bytes it may have, how high it may count, how many parts and values it
may have with all references in their places, and how high its counts may be together."""
ANY = {"type": "object"}
# The converter lets strings have control characters, such as line ends, which JSON does not.
LOOSE, STRICT = r'[^"\\] |', r'[^"\\\x7F\x00-\x1F] |'
ESCAPED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass
class Size:
    """How large the grammar of a schema gets."""

    parts: int = 0
    repeated: int = 0

    def add(self, parts: int, repeated: int = 0) -> None:
        """Count more of it. InputError if it is too much."""
        self.parts += parts
        self.repeated += repeated
        if self.parts > MOST_PARTS:
            raise InputError(f"the schema has more than {MOST_PARTS} parts and values")
        if self.repeated > MOST_REPEATED:
            raise InputError(f"the counts of the schema are more than {MOST_REPEATED} together")


@dataclass
class Reader:
    """Reads a schema: puts references in their places, and refuses what the grammar would not see to."""

    root: dict[str, Any]
    size: Size = field(default_factory=Size)

    def read(self, schema: Any, place: str, above: tuple[str, ...] = (), depth: int = 0) -> dict[str, Any]:
        """Return a schema without references. InputError for what no grammar can see to, with the place.

        `above` are the references that led here.
        """
        if depth > DEEPEST:
            raise InputError(f"{place}: nested more than {DEEPEST} deep")
        if schema is True:
            raise InputError(f"{place}: `true` allows everything; name a type")
        if not isinstance(schema, dict):
            raise InputError(f"{place}: a schema must be an object")
        self.size.add(1)
        told = {key: value for key, value in schema.items() if key not in NOTES and key not in DEFINITIONS}
        if "$ref" in told:
            return self.referred(told, place, above, depth)
        self.check(told, place)
        read: dict[str, Any] = {**told}
        for key in ("anyOf", "oneOf", "prefixItems"):
            if key in told:
                read[key] = [self.read(one, f"{place}.{key}[{i}]", above, depth + 1) for i, one in enumerate(told[key])]
        if "properties" in told:
            read["properties"] = {
                name: self.read(one, f"{place}.properties.{name}", above, depth + 1)
                for name, one in told["properties"].items()
            }
        for key in ("items", "additionalProperties"):
            if key in told and not isinstance(told[key], bool):
                read[key] = self.read(told[key], f"{place}.{key}", above, depth + 1)
        return read

    def referred(self, told: dict[str, Any], place: str, above: tuple[str, ...], depth: int) -> dict[str, Any]:
        """Read the schema that a reference leads to."""
        name = str(told["$ref"])
        if len(told) > 1:
            raise InputError(f"{place}: nothing may stand beside `$ref`")
        kept, _, key = name.removeprefix("#/").partition("/")
        if not name.startswith("#/") or kept not in DEFINITIONS or key not in self.root.get(kept, {}):
            raise InputError(f"{place}: `$ref` must lead to a part of `$defs` that is there: #/$defs/...")
        if name in above:
            raise InputError(f"{place}: `$ref` leads back to itself, and answers have an end")
        return self.read(self.root[kept][key], place, (*above, name), depth + 1)

    def check(self, told: dict[str, Any], place: str) -> None:
        """Raise InputError for what the grammar would not see to in this schema itself."""
        several = isinstance(told.get("type"), list)
        form = "type" if several else next((form for form in FORMS if form in told), None)
        beside = FORMS[form] if form and not several else set()
        if others := sorted(told.keys() - beside - {form}):
            raise InputError(f"{place}: `{others[0]}` is not supported here")
        if form == "format" and told["format"] not in FORMATS:
            raise InputError(
                f"{place}: the format {told['format']!r} is not supported, only {', '.join(sorted(FORMATS))}"
            )
        if missing := sorted(set(told.get("required", ())) - told.get("properties", {}).keys()):
            raise InputError(f"{place}: `required` names {missing[0]!r}, which is not among `properties`")
        self.size.add(len(told.get("enum", ())))
        for key in sorted(COUNTS & told.keys()):
            if told[key] > MOST:
                raise InputError(f"{place}: `{key}` is more than {MOST}")
            self.size.add(0, int(told[key]))


def converter() -> Any:
    """Make llama-cpp-python's converter, with texts escaped as llama.cpp reads them."""
    from llama_cpp.llama_grammar import SchemaConverter

    class Converter(SchemaConverter):  # type: ignore[misc]
        def _format_literal(self, literal: str) -> str:
            return '"' + "".join(ESCAPED.get(letter, letter) for letter in literal) + '"'

        def _generate_constant_rule(self, value: Any) -> str:
            return self._format_literal(json.dumps(value, ensure_ascii=False))

    return Converter(prop_order={}, allow_fetch=False, dotall=False, raw_pattern=False)  # type: ignore[no-untyped-call]


def grammar_of(schema: Any) -> str:
    """Make the grammar of a JSON schema. InputError if the schema is wrong, or says what no grammar can see to."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        if len(json.dumps(schema, ensure_ascii=False).encode()) > LONGEST:  # ValueError for half a letter
            raise InputError(f"the schema has more than {LONGEST} bytes")
        if not isinstance(schema, dict):
            raise InputError("a schema must be an object")
        Draft202012Validator.check_schema(schema)
        made = converter()
        made.visit(Reader(schema).read(schema, "schema"), "")
        return str(made.format_grammar()).replace(LOOSE, STRICT)
    except SchemaError as error:
        raise InputError(f"the schema is not valid: {error.message[:300]}") from None
    except (AssertionError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"the schema cannot be turned into a grammar: {str(error)[:300]}") from None


def call_schema(functions: list[dict[str, Any]]) -> dict[str, Any]:
    """Make the schema of a call of one of some functions. References in their parameters are put in their places.

    Raises InputError for what no grammar can see to.
    """
    return {
        "anyOf": [
            {
                "type": "object",
                "properties": {"name": {"const": function["name"]}, "arguments": arguments_of(function)},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
            for function in functions
        ]
    }


def arguments_of(function: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the arguments of a function."""
    parameters = function.get("parameters") or ANY
    return Reader(parameters).read(parameters, f"{function['name']}.parameters")
