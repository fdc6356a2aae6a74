"""Lanes: prefixes that are shared, slots that are freed, and memory that routes share in turn."""

import asyncio

import pytest

from helpers.lanes import ROUTES, answered_alone, events_of, ids_of_prompts, opened, tokens_of
from ingot.errors import InputError
from ingot.serving.lane import shared_length
from ingot.serving.protocol import Begun, BusyError, Parameters, Token, TooSlowError

pytestmark = pytest.mark.graph


@pytest.fixture(scope="module")
def lanes(f16, modifiers):
    engine = opened(f16, modifiers)
    yield engine
    asyncio.run(engine.close())


@pytest.fixture(scope="module")
def ids(tokenizer):
    return ids_of_prompts(tokenizer)


@pytest.fixture(scope="module")
def expected(f16, modifiers, ids):
    return answered_alone(f16, modifiers, ids)


def test_a_prompt_that_begins_as_another_is_read_from_where_they_differ(lanes, ids, expected):
    async def two():
        await events_of(lanes, "base", ids[1])
        return await events_of(lanes, "base", ids[2])

    begun, *tokens = asyncio.run(two())
    assert isinstance(begun, Begun)
    assert begun.cached >= shared_length(ids[1], ids[2]) > 10
    assert tokens_of(tokens) == expected["base", 2]


def test_nobody_is_told_by_the_cache_what_another_has_asked(lanes, ids, expected):
    async def three():
        await events_of(lanes, "base", ids[1], asker="one")
        other = await events_of(lanes, "base", ids[1], asker="another")
        return other, await events_of(lanes, "base", ids[1], asker="one")

    (of_other, *tokens), (of_same, *_) = asyncio.run(three())
    assert (of_other.cached, of_same.cached) == (0, len(ids[1]) - 1)
    assert tokens_of(tokens) == expected["base", 1]


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


def test_a_route_is_not_left_waiting_for_one_that_nobody_asks_any_more(f16, modifiers, ids):
    """There is memory for one lane. While it has work, another route is asked, and whoever asked leaves."""

    async def ask():
        engine = opened(f16, modifiers, memory=1)
        await events_of(engine, "base", ids[0], longest=1)  # so that the memory of a lane is known
        busy = asyncio.create_task(events_of(engine, "base", ids[0], longest=100, temperature=3.0))
        await asyncio.sleep(0.01)
        leaving = asyncio.create_task(events_of(engine, "code", ids[0]))
        await asyncio.sleep(0.01)
        leaving.cancel()
        await busy
        answer = await asyncio.wait_for(events_of(engine, "base", ids[1]), 20)
        await engine.close()
        return answer

    assert tokens_of(asyncio.run(ask()))


def test_a_lane_that_fails_tells_its_requests_and_goes_on(lanes, ids, monkeypatch):
    from ingot.serving.protocol import UnavailableError

    with monkeypatch.context() as patch:
        patch.setattr(lanes.api, "llama_decode", lambda pointer, batch: -3)
        with pytest.raises(UnavailableError, match="status -3"):
            asyncio.run(events_of(lanes, "base", ids[0]))
    assert tokens_of(asyncio.run(events_of(lanes, "base", ids[0])))


def test_a_damaged_modifier_is_refused(f16, modifiers, tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(modifiers["code"].read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cut\.gguf"):
        opened(f16, {"code": cut})
