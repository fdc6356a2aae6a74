"""Modifiers that are laid over one base in one process, again and again."""

import random

import pytest

from helpers.models import answer_of
from ingot.inference.gguf_model import open_gguf

pytestmark = pytest.mark.graph

PROMPTS = ["Sort: 3 1 2", "What is 1 + 2? Ann asks.", "Write a lambda f.", "Portugal: name its capital."]
REQUESTS, LONGEST = 200, 6


def test_interleaved_requests_are_answered_as_by_a_fresh_load(f16, modifiers, checkpoint):
    expected = {}
    for name in (None, *modifiers):
        for prompt in PROMPTS:
            model = open_gguf(f16, checkpoint, 128, 1, modifiers)
            model.use(name)
            expected[name, prompt] = answer_of(model, prompt, LONGEST)
    assert len({answer.text for answer in expected.values()}) > len(PROMPTS), "the modifiers change nothing"
    model = open_gguf(f16, checkpoint, 128, 1, modifiers)
    r = random.Random(0)
    for _ in range(REQUESTS):
        name, prompt = r.choice((None, *modifiers)), r.choice(PROMPTS)
        model.use(name)
        assert answer_of(model, prompt, LONGEST) == expected[name, prompt], (name, prompt)
