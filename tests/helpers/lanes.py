"""Lanes over the untrained model of the tests, and what each of its routes answers alone."""

import asyncio

from ingot.serving.lanes import Lanes
from ingot.serving.protocol import Parameters, Token
from ingot.text import chat

ROUTES = ("base", "code", "reasoning")
PROMPTS = [
    "Sort: 3 1 2",
    "What is 1 + 2? Ann asks.",
    "What is 1 + 2? Bob asks.",
    "Write a lambda f.",
    "Name a capital.",
]
LENGTH = 128


def opened(f16, modifiers, **other):
    settings = {"length": LENGTH, "parallel": 4, "threads": 1, "memory": 1 << 40, "most_waiting": 100}
    return Lanes(f16, modifiers, **{**settings, **other})


async def events_of(engine, route, prompt, longest=8, **parameters):
    return [event async for event in engine.generate(route, prompt, Parameters(longest, **parameters))]


def tokens_of(events):
    return [event.id for event in events if isinstance(event, Token)]


def ids_of_prompts(tokenizer):
    prompts = [chat.prompt_text(tokenizer, prompt) for prompt in PROMPTS]
    return [tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in prompts]


def answered_alone(f16, modifiers, ids):
    """{(route, prompt): tokens}, each by lanes that answered nothing else."""

    async def alone(route, prompt):
        engine = opened(f16, modifiers, parallel=1)
        events = await events_of(engine, route, prompt)
        await engine.close()
        return tokens_of(events)

    return {(route, i): asyncio.run(alone(route, prompt)) for route in ROUTES for i, prompt in enumerate(ids)}
