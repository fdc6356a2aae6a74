import json

import jsonschema
import pytest

from ingot.errors import InputError
from ingot.serving.grammars import call_schema, grammar_of
from ingot.serving.protocol import Parameters
from ingot.serving.sampling import Candidates, Grammar, Sampler

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 5},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2},
        "born": {"type": "string", "format": "date"},
        "more": {"$ref": "#/$defs/more"},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
    "$defs": {"more": {"anyOf": [{"type": "null"}, {"const": "x"}]}},
}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "integer", "minimum": 3}, "minimum"),
        ({"type": "object", "required": ["a"]}, "required"),
        ({"type": "object", "properties": {"a": {"not": {"type": "null"}}}}, r"schema.properties.a: `not`"),
        ({"type": "string", "format": "email"}, "email"),
        ({"type": "string", "pattern": "^a+$"}, "pattern"),
        ({"$ref": "https://example.org/x.json"}, r"\$ref"),
        ({"$ref": "#/$defs/none"}, r"\$ref"),
        ({"$ref": "#/default", "default": {"type": "string"}}, r"\$ref"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}}}, "back to itself"),
        ({"type": "object", "properties": {"a": {"type": "null"}}, "required": ["zz"]}, "'zz'"),
        ({"type": "string", "maxLength": 901}, "maxLength"),
        ({"enum": list(range(600))}, "parts"),
        ({"anyOf": [{"type": "string", "maxLength": 900}] * 6}, "counts"),
        (
            {
                "$ref": "#/$defs/a0",
                "$defs": {
                    **{f"a{i}": {"anyOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(25)},
                    "a25": {"type": "null"},
                },
            },
            "parts|deep",
        ),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 10**6}, "maxItems"),
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, "uniqueItems"),
        ({"type": ["string", "null"], "enum": ["a"]}, "enum"),
        ({"allOf": [{"type": "string"}]}, "allOf"),
        ({"type": "strange"}, "not valid"),
        ({"type": "object", "properties": 3}, "not valid"),
        ({"type": "object", "properties": {"a": True}}, "true"),
        ({"enum": ["x" * 70_000]}, "bytes"),
        ({"const": "\ud800"}, "surrogates not allowed"),
        ({"type": "object", "properties": {"\ud800": {"type": "null"}}}, "surrogates not allowed"),
        (7, "schema"),
    ],
)
def test_what_a_grammar_cannot_see_to_is_refused_by_name(schema, said):
    with pytest.raises(InputError, match=said):
        grammar_of(schema)


def test_a_schema_that_is_nested_too_deep_is_refused():
    schema = {"type": "string"}
    for _ in range(3000):
        schema = {"type": "array", "items": schema}
    with pytest.raises(InputError):
        grammar_of(schema)


@pytest.fixture(scope="module")
def vocabulary(f16):
    import llama_cpp

    model = llama_cpp.Llama(str(f16), n_ctx=8, vocab_only=True, verbose=False)
    yield llama_cpp.llama_model_get_vocab(model.model)
    model.close()


def random_answer(vocabulary, tokenizer, grammar, seed):
    """Write an answer of random tokens, as far as the grammar allows them."""
    import llama_cpp
    import numpy as np

    sampler = Sampler(vocabulary, Parameters(200, temperature=1.0, seed=seed, grammar=grammar))
    random, ids = np.random.default_rng(seed), []
    # Texts and lists end sooner if their ends are likelier.
    favourites = [tokenizer.convert_tokens_to_ids(sign) for sign in '"]},']
    while len(ids) < 400:
        logits = random.normal(size=len(tokenizer)).astype(np.float32)
        logits[favourites] += 5
        token = sampler.choose(logits)
        if llama_cpp.llama_vocab_is_eog(vocabulary, token.id):
            return tokenizer.decode(ids)
        ids.append(token.id)
    return None


@pytest.mark.parametrize(
    "schema",
    [
        PERSON,
        {"type": ["integer", "null"]},
        {"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "null"}]},
        {"enum": ['x" [a]{5,3} #', "back\\slash", "new\nline", "\ttab", 'quo"te', "é 漢 🙂"]},
        {
            "type": "object",
            "properties": {'a"\\b': {"type": "null"}},
            "required": ['a"\\b'],
            "additionalProperties": False,
        },
        {"$ref": "#/$defs/space", "$defs": {"space": {"type": "integer"}}},
        call_schema([{"name": "f", "parameters": {"type": "object", "properties": {}}}, {"name": "g"}]),
    ],
)
def test_whatever_is_written_in_a_grammar_fits_its_schema(schema, vocabulary, tokenizer):
    grammar = grammar_of(schema)
    answers = [random_answer(vocabulary, tokenizer, grammar, seed) for seed in range(10)]
    whole = [answer for answer in answers if answer is not None]
    assert whole
    for answer in whole:
        jsonschema.validate(json.loads(answer), schema)


def test_a_grammar_that_cannot_be_compiled_is_refused(vocabulary):
    with pytest.raises(InputError, match="grammar"):
        Grammar(vocabulary, "root ::= (")


def test_a_grammar_lets_only_pass_what_fits(vocabulary, tokenizer):
    grammar = Grammar(vocabulary, 'root ::= "a" | "b"')
    ids = [tokenizer.convert_tokens_to_ids(sign) for sign in "abc"]
    candidates = Candidates(ids, [0.0, 1.0, 2.0])
    grammar.restrict(candidates)
    assert candidates.rows["logit"].tolist() == [0.0, 1.0, -float("inf")]
