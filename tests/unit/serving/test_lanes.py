"""Lanes: what is answered together, interleaved and after other prompts is what is answered alone."""

import asyncio
import random

import pytest

from ingot.errors import InputError
from ingot.serving.lane import shared_length
from ingot.serving.lanes import Lanes
from ingot.serving.protocol import Begun, BusyError, Ended, Parameters, Token, TooLongError, TooSlowError
from ingot.text import chat

pytestmark = pytest.mark.graph

ROUTES = ("base", "code", "reasoning")
PROMPTS = [
    "Sort: 3 1 2",
    "What is 1 + 2? Ann asks.",
    "What is 1 + 2? Bob asks.",
    "Write a lambda f.",
    "Name a capital.",
]


def opened(f16, modifiers, **other):
    settings = {"length": 128, "parallel": 4, "threads": 1, "memory": 1 << 40, "most_waiting": 100}
    return Lanes(f16, modifiers, **{**settings, **other})


@pytest.fixture(scope="module")
def lanes(f16, modifiers):
    engine = opened(f16, modifiers)
    yield engine
    asyncio.run(engine.close())


@pytest.fixture(scope="module")
def ids(tokenizer):
    prompts = [chat.prompt_text(tokenizer, prompt) for prompt in PROMPTS]
    return [tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in prompts]


async def events_of(engine, route, prompt, longest=8, **parameters):
    return [event async for event in engine.generate(route, prompt, Parameters(longest, **parameters))]


def tokens_of(events):
    return [event.id for event in events if isinstance(event, Token)]


@pytest.fixture(scope="module")
def expected(f16, modifiers, ids):
    """{(route, prompt): tokens}, each by lanes that answered nothing else."""

    async def alone(route, prompt):
        engine = opened(f16, modifiers, parallel=1)
        events = await events_of(engine, route, prompt)
        await engine.close()
        return tokens_of(events)

    return {(route, i): asyncio.run(alone(route, prompt)) for route in ROUTES for i, prompt in enumerate(ids)}


def test_routes_answer_differently(expected):
    assert len({tuple(tokens) for tokens in expected.values()}) > len(PROMPTS)


def test_requests_of_all_routes_together_are_answered_as_alone(lanes, ids, expected):
    r = random.Random(0)
    asked = [(r.choice(ROUTES), r.randrange(len(ids))) for _ in range(300)]

    async def all_of_them():
        eight = asyncio.Semaphore(8)

        async def one(route, i):
            async with eight:
                return tokens_of(await events_of(lanes, route, ids[i]))

        return await asyncio.gather(*(one(*request) for request in asked))

    answers = asyncio.run(all_of_them())
    wrong = [request for request, answer in zip(asked, answers, strict=True) if answer != expected[request]]
    assert wrong == []


def test_a_prompt_that_begins_as_another_is_read_from_where_they_differ(lanes, ids, expected):
    async def two():
        await events_of(lanes, "base", ids[1])
        return await events_of(lanes, "base", ids[2])

    begun, *tokens = asyncio.run(two())
    assert isinstance(begun, Begun)
    assert begun.cached >= shared_length(ids[1], ids[2]) > 10
    assert tokens_of(tokens) == expected["base", 2]


def test_who_stops_to_listen_frees_the_slot(lanes, ids):
    async def leave():
        for _ in range(20):
            listened = lanes.generate("code", ids[0], Parameters(100))
            async for event in listened:
                if isinstance(event, Token):
                    break
            await listened.aclose()
        return await events_of(lanes, "code", ids[0])

    assert tokens_of(asyncio.run(leave()))
    assert lanes.figures()["open"] == 0
    assert not any(lane.busy for lane in lanes.lanes.values())


def test_random_answers_follow_their_seed(lanes, ids):
    def drawn(seed):
        return tokens_of(asyncio.run(events_of(lanes, "base", ids[0], temperature=1.0, seed=seed)))

    assert drawn(1) == drawn(1)
    assert len({tuple(drawn(seed)) for seed in range(5)}) > 1


def test_logprobs_are_those_of_the_likeliest(lanes, ids):
    events = asyncio.run(events_of(lanes, "base", ids[0], logprobs=3))
    for token in (event for event in events if isinstance(event, Token)):
        assert token.likeliest[0] == (token.id, token.logprob)
        assert [p for _, p in token.likeliest] == sorted((p for _, p in token.likeliest), reverse=True)


def test_a_prompt_without_room_for_an_answer_is_refused(lanes):
    with pytest.raises(TooLongError):
        asyncio.run(events_of(lanes, "base", [1] * 128))


def test_an_answer_ends_where_the_context_does(lanes):
    events = asyncio.run(events_of(lanes, "base", [5] * 120, longest=1000))
    assert events[-1] == Ended("length") or events[-1].reason == "stop"
    assert len(tokens_of(events)) <= 9


def test_an_unknown_route_is_an_error(lanes, ids):
    with pytest.raises(KeyError):
        asyncio.run(events_of(lanes, "nobody", ids[0]))


def test_too_many_requests_are_refused(f16, modifiers, ids):
    async def many():
        engine = opened(f16, modifiers, most_waiting=3)
        done = await asyncio.gather(*(events_of(engine, "base", ids[0]) for _ in range(10)), return_exceptions=True)
        await engine.close()
        return done

    done = asyncio.run(many())
    assert sum(isinstance(one, BusyError) for one in done) == 7
    assert sum(isinstance(one, list) for one in done) == 3


def test_an_answer_that_takes_too_long_is_ended(lanes, ids):
    with pytest.raises(TooSlowError):
        asyncio.run(events_of(lanes, "base", ids[0], longest=100, seconds=0))


def test_routes_share_the_memory_of_one_lane_in_turn(f16, modifiers, ids, expected):
    async def with_little_memory():
        engine = opened(f16, modifiers, memory=1)
        asked = [(route, i) for i in range(len(ids)) for route in ROUTES]
        answers = await asyncio.gather(*(events_of(engine, route, ids[i]) for route, i in asked))
        figures = engine.figures()
        await engine.close()
        return dict(zip(asked, map(tokens_of, answers), strict=True)), figures

    answers, figures = asyncio.run(with_little_memory())
    assert answers == {request: expected[request] for request in answers}
    assert figures["lanes"] == 1
    assert figures["evictions"] >= 2


def test_a_lane_that_fails_tells_its_requests_and_goes_on(lanes, ids, monkeypatch):
    from ingot.inference.context import Context
    from ingot.serving.protocol import UnavailableError

    def fails(self, outputs):
        self.batch.n_tokens = 0
        raise RuntimeError("llama.cpp could not compute a batch (status -3)")

    with monkeypatch.context() as patch:
        patch.setattr(Context, "run", fails)
        with pytest.raises(UnavailableError, match="status -3"):
            asyncio.run(events_of(lanes, "base", ids[0]))
    assert tokens_of(asyncio.run(events_of(lanes, "base", ids[0])))


def test_a_damaged_modifier_is_refused(f16, modifiers, tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(modifiers["code"].read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cut\.gguf"):
        opened(f16, {"code": cut})
