import numpy as np
import pytest

from ingot.serving.calls import hold_back_calls, read_call
from ingot.serving.pieces import Piece
from ingot.serving.protocol import Parameters
from ingot.serving.sampling import Sampler, nucleus


def shown(*texts, names=("add",)):
    """What comes of an answer in these pieces: (text, call)."""
    held, pieces = {}, [*(Piece(0, text) for text in ("", *texts)), Piece(0, "", finish="stop")]
    out = [hold_back_calls(piece, held, set(names)) for piece in pieces]
    return "".join(piece.text for piece in out), out[-1].call


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (['{"name": "add", ', '"arguments": {"a": 1}}'], ("", ("add", {"a": 1}))),
        (['<tool_call>{"name": "add", "arguments": {}}', "</tool_call>"], ("", ("add", {}))),
        (['{"name": "Ann", "age": 3}'], ('{"name": "Ann", "age": 3}', None)),
        (["```\nfoo()\n```"], ("```\nfoo()\n```", None)),
        (["Hello {", "x}"], ("Hello {x}", None)),
        (["  ", "[1, 2]"], ("  [1, 2]", None)),
        (["[add(a=...)]"], ("[add(a=...)]", None)),
        (["[add(a={1, 2})]"], ("[add(a={1, 2})]", None)),
        (['{"name": "add", "arguments": {"a": NaN}}'], ('{"name": "add", "arguments": {"a": NaN}}', None)),
    ],
)
def test_an_answer_is_a_call_or_keeps_its_text(texts, expected):
    assert shown(*texts) == expected


def test_a_call_that_json_cannot_hold_is_none():
    assert read_call('{"name": "add", "arguments": {"a": "\\ud83d"}}', {"add"}) is None


@pytest.mark.parametrize("temperature", [1e-300, 1e-40, 1e-3])
def test_hardly_any_temperature_is_greedy(temperature):
    logits = np.array([-5.0, -3.0, -4.0], dtype=np.float32)
    sampler = Sampler(None, Parameters(1, temperature=temperature))
    assert sampler.choose(logits).id == 1


def test_a_nucleus_has_the_likeliest_tokens():
    ids, chances = nucleus(np.array([0.1, 0.6, 0.05, 0.25]), 0.8)
    assert ids.tolist() == [1, 3]
    assert chances.sum() == pytest.approx(1)
    assert len(nucleus(np.full(5000, 1 / 5000), 1.0)[0]) == 5000
