"""Lanes: prefixes that are shared, slots that are freed, and memory that routes share in turn."""

import asyncio
import time

import pytest

from helpers.lanes import ROUTES, answered_alone, events_of, ids_of_prompts, opened, tokens_of
from ingot.errors import InputError
from ingot.inference.context import Context
from ingot.serving.lane import Generation, shared_length
from ingot.serving.protocol import Begun, BusyError, Parameters, Token, TooSlowError, UnavailableError

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
    with monkeypatch.context() as patch:
        patch.setattr(lanes.api, "llama_decode", lambda pointer, batch: -3)
        with pytest.raises(UnavailableError, match="status -3"):
            asyncio.run(events_of(lanes, "base", ids[0]))
    assert tokens_of(asyncio.run(events_of(lanes, "base", ids[0])))


def test_who_came_while_a_lane_failed_is_answered_or_told(f16, modifiers, ids, monkeypatch):
    """The lane that fails tells its requests, and another thread hands it a new one meanwhile."""
    from ingot.serving import lane as module

    async def ask():
        engine = opened(f16, modifiers, threads=2)
        await events_of(engine, "base", ids[0], longest=1)  # so that there is a lane
        late = []

        def tell(said):
            real(said)
            if not late and any(isinstance(event, UnavailableError) for _, event in said):
                late.append(asyncio.run_coroutine_threadsafe(events_of(engine, "base", ids[1]), loop))
                time.sleep(0.2)

        real, loop = module.tell, asyncio.get_running_loop()
        with monkeypatch.context() as patch:
            patch.setattr(module, "tell", tell)
            patch.setattr(engine.api, "llama_decode", lambda pointer, batch: -3)
            with pytest.raises(UnavailableError):
                await events_of(engine, "base", ids[0])
            while not late:
                await asyncio.sleep(0.01)
        (answer,) = await asyncio.wait_for(asyncio.gather(asyncio.wrap_future(late[0]), return_exceptions=True), 20)
        await engine.close()
        return answer

    answer = asyncio.run(ask())
    assert isinstance(answer, UnavailableError) or tokens_of(answer)


def test_a_request_waits_on_if_there_is_no_memory_for_its_lane_at_first(f16, modifiers, ids, monkeypatch):
    async def ask():
        engine = opened(f16, modifiers)
        await events_of(engine, "base", ids[0])
        make, refused = engine.new_lane, []

        def refuse_once(route):
            if not refused:
                refused.append(route)
                raise InputError("no memory")
            return make(route)

        monkeypatch.setattr(engine, "new_lane", refuse_once)
        answer = await asyncio.wait_for(events_of(engine, "code", ids[0]), 20)
        figures = engine.figures()
        await engine.close()
        return answer, figures

    answer, figures = asyncio.run(ask())
    assert tokens_of(answer)
    assert figures["evictions"] == 1


def test_a_route_goes_on_as_soon_as_nobody_waits_for_its_memory(f16, modifiers, ids):
    """What waits for the memory of a lane gives up at the very moment when that lane has no work left."""

    async def ask():
        engine = opened(f16, modifiers, memory=1)
        await events_of(engine, "base", ids[0])
        with engine.turn:  # nobody chooses meanwhile
            engine.draining = "base"
            gone = Generation("code", ids[0], Parameters(8), None, None, cancelled=True)
            engine.pending["code"].append(gone)
            asked = asyncio.create_task(events_of(engine, "base", ids[1]))
            while not engine.pending["base"]:
                await asyncio.sleep(0)
        engine.wake()
        answer = await asyncio.wait_for(asked, 20)
        await engine.close()
        return answer

    assert tokens_of(asyncio.run(ask()))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_route_that_worked_long_is_not_kept_waiting_by_one_that_did_not(f16, modifiers, ids, threads):
    async def ask():
        engine = opened(f16, modifiers, threads=threads)
        await events_of(engine, "base", ids[0])
        engine.clock = engine.lanes["base"].spent = 1000.0  # seconds
        stop = False

        async def saturate(longest):
            while not stop:  # and not all end at the same time
                await events_of(engine, "code", ids[1], longest=longest, temperature=3.0)

        others = [asyncio.create_task(saturate(longest)) for longest in (30, 41, 53, 67)]
        await asyncio.sleep(0.5)
        answer = await asyncio.wait_for(events_of(engine, "base", ids[0]), 20)
        stop = True
        await asyncio.gather(*others)
        await engine.close()
        return answer

    assert tokens_of(asyncio.run(ask()))


@pytest.mark.parametrize("read", [20, 300])
def test_logits_do_not_depend_on_threads_and_hardly_on_company(f16, read):
    """So it changes no answer how busy a server is. With flash attention they differ by hundredths."""
    import llama_cpp
    import numpy as np

    model = llama_cpp.Llama(str(f16), n_ctx=8, verbose=False)

    def logits(threads, company):
        context = Context(model.model, 400, 4, threads)
        for slot in range(1 + company):
            for i in range(read):
                context.add(10 + (7 * i + slot) % 400, i, slot, i == read - 1)
            context.run(1)
        found = []
        for step in range(3):
            for slot in range(1 + company):
                context.add(30 + step + slot, read + step, slot, True)
            found.append(context.run(1 + company)[0].copy())
        context.close()
        return np.stack(found)

    alone = logits(1, 0)
    assert np.array_equal(alone, logits(2, 0))
    assert np.allclose(alone, logits(2, 3), rtol=0, atol=1e-3)


def test_a_damaged_modifier_is_refused(f16, modifiers, tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(modifiers["code"].read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cut\.gguf"):
        opened(f16, {"code": cut})
