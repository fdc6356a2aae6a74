"""Turn a JSON schema into a grammar that lets only answers pass which fit it. What has no grammar is refused."""

import json
from typing import Any

from ingot.errors import InputError

# What a schema may say of a value, by what decides its form. llama.cpp's converter ignores everything beside it.
NOTES = {
    "title",
    "description",
    "default",
    "examples",
    "$schema",
    "$id",
    "$comment",
    "deprecated",
    "$defs",
    "definitions",
}
FORMS: dict[str, set[str]] = {
    "$ref": set(),
    "anyOf": set(),
    "oneOf": set(),
    "const": {"type"},
    "enum": {"type"},
    "properties": {"type", "required", "additionalProperties"},
    "prefixItems": {"type"},
    "items": {"type", "minItems", "maxItems"},
    "pattern": {"type"},
    "format": {"type"},
    "type": {"minLength", "maxLength", "additionalProperties"},
}
FORMATS = {"uuid", "uuid1", "uuid2", "uuid3", "uuid4", "uuid5", "date", "time", "date-time"}
COUNTS = {"minItems", "maxItems", "minLength", "maxLength"}
DEEPEST, LONGEST, MOST = 32, 1 << 16, 2000
"""How deep a schema may be nested, how many characters it may have, and how high it may count."""
ANY = {"type": "object"}
# The converter lets strings have control characters, such as line ends, which JSON does not.
LOOSE, STRICT = r'[^"\\] |', r'[^"\\\x7F\x00-\x1F] |'


def check(schema: Any, place: str, depth: int) -> None:
    """Raise InputError for what the grammar would not see to, and say where it stands."""
    if depth > DEEPEST:
        raise InputError(f"{place}: nested more than {DEEPEST} deep")
    if schema is True:
        raise InputError(f"{place}: `true` allows everything; name a type")
    if not isinstance(schema, dict):
        raise InputError(f"{place}: a schema must be an object")
    form = next((form for form in FORMS if form in schema), None)
    if form is None and schema.keys() <= NOTES:
        return
    form = "type" if isinstance(schema.get("type"), list) else form  # the converter looks at nothing else then
    beside = FORMS.get(form or "", set()) if not isinstance(schema.get("type"), list) else set()
    if others := sorted(schema.keys() - NOTES - beside - {form}):
        raise InputError(f"{place}: `{others[0]}` is not supported here")
    if form == "$ref" and not str(schema["$ref"]).startswith("#/"):
        raise InputError(f"{place}: `$ref` must lead to a place of this schema: #/$defs/...")
    if form == "format" and schema["format"] not in FORMATS:
        raise InputError(
            f"{place}: the format {schema['format']!r} is not supported, only {', '.join(sorted(FORMATS))}"
        )
    if form == "pattern" and not (schema["pattern"].startswith("^") and schema["pattern"].endswith("$")):
        raise InputError(f"{place}: a pattern must begin with ^ and end with $")
    for key in sorted(COUNTS & schema.keys()):
        if schema[key] > MOST:
            raise InputError(f"{place}: `{key}` is more than {MOST}")
    for name, inner, where in parts(schema, place):
        if name != "additionalProperties" or not isinstance(inner, bool):
            check(inner, where, depth + 1)


def parts(schema: dict[str, Any], place: str) -> list[tuple[str, Any, str]]:
    """List the schemas in a schema: (key, schema, place)."""
    found = []
    for key in ("properties", "$defs", "definitions"):
        found += [(key, inner, f"{place}.{key}.{name}") for name, inner in schema.get(key, {}).items()]
    for key in ("anyOf", "oneOf", "prefixItems"):
        found += [(key, inner, f"{place}.{key}[{i}]") for i, inner in enumerate(schema.get(key, ()))]
    return found + [(key, schema[key], f"{place}.{key}") for key in ("items", "additionalProperties") if key in schema]


def grammar_of(schema: Any) -> str:
    """Make the grammar of a JSON schema. InputError if the schema is wrong, or says what no grammar can see to."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    try:
        text = json.dumps(schema)
        if len(text) > LONGEST:
            raise InputError(f"the schema has more than {LONGEST} characters")
        Draft202012Validator.check_schema(schema)
        check(schema, "schema", 0)
        return str(json_schema_to_gbnf(text)).replace(LOOSE, STRICT)
    except SchemaError as error:
        raise InputError(f"the schema is not valid: {error.message[:300]}") from None
    except (AssertionError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"the schema cannot be turned into a grammar: {str(error)[:300]}") from None


def call_schema(functions: list[dict[str, Any]]) -> dict[str, Any]:
    """Make the schema of a call of one of some functions."""
    return {
        "anyOf": [
            {
                "type": "object",
                "properties": {
                    "name": {"const": function["name"]},
                    "arguments": function.get("parameters") or ANY,
                },
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
            for function in functions
        ]
    }
