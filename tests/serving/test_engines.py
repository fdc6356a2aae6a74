"""One contract for all engines: the lanes of this process and, where it has been built, a llama-server behind it.

`python bench/llama_server.py` builds llama-server once.
"""

import asyncio
import random
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from helpers.lanes import LENGTH, PROMPTS, ROUTES, answered_alone, events_of, ids_of_prompts, opened, tokens_of
from helpers.workspaces import ROOT
from ingot.serving.grammars import grammar_of
from ingot.serving.protocol import Begun, Ended, Parameters, Token, TooLongError, UnavailableError
from ingot.serving.upstream import UNKNOWN, LlamaServer

pytestmark = pytest.mark.graph


def rival():
    """Return the llama-server that was built, or None."""
    sys.path.append(str(ROOT / "bench"))
    import llama_server

    program, _ = llama_server.place()
    return program if program.exists() else None


@pytest.fixture(scope="module")
def llama_server(f16, modifiers):
    """The address of a running llama-server with all modifiers."""
    program = rival()
    if not program:
        pytest.skip("llama-server has not been built: `python bench/llama_server.py` does so, once")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    loras = [part for path in modifiers.values() for part in ("--lora", str(path))]
    options = ["-np", "4", "-c", str(4 * LENGTH), "-t", "1", "-fa", "off", "--cache-ram", "0", "--no-webui"]
    command = [program, "-m", f16, "--port", str(port), *options, "--lora-init-without-apply", *loras]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            urllib.request.urlopen(f"{url}/health")
            break
        except OSError:
            assert process.poll() is None, "llama-server ended"
            time.sleep(0.05)
    yield url
    process.kill()
    process.wait()


class Asked:
    """An engine that is opened and closed around each question, in an event loop of its own, or stays open."""

    def __init__(self, open_engine, stays):
        self.open_engine, self.engine = open_engine, open_engine() if stays else None

    def run(self, work):
        """Run `work(engine)`."""

        async def whole():
            engine = self.engine or self.open_engine()
            try:
                return await work(engine)
            finally:
                if not self.engine:
                    await engine.close()

        return asyncio.run(whole())

    def events(self, route, prompt, longest=8, **parameters):
        return self.run(lambda engine: events_of(engine, route, prompt, longest, **parameters))


@pytest.fixture(scope="module", params=["lanes", "llama-server"])
def engine(request, f16, modifiers):
    if request.param == "lanes":
        asked = Asked(lambda: opened(f16, modifiers), stays=True)
        yield asked
        asyncio.run(asked.engine.close())
    else:
        url = request.getfixturevalue("llama_server")
        yield Asked(lambda: LlamaServer(url, list(modifiers), LENGTH), stays=False)


@pytest.fixture(scope="module")
def ids(tokenizer):
    return ids_of_prompts(tokenizer)


@pytest.fixture(scope="module")
def expected(f16, modifiers, ids):
    return answered_alone(f16, modifiers, ids)


def test_routes_answer_differently(expected):
    assert len({tuple(tokens) for tokens in expected.values()}) > len(PROMPTS)


def test_the_routes_are_the_base_and_the_modifiers(engine):
    async def routes(engine):
        return tuple(engine.routes)

    assert engine.run(routes) == ROUTES


def test_an_answer_begins_has_tokens_and_ends(engine, ids):
    begun, *tokens, ended = engine.events("code", ids[0])
    assert isinstance(begun, Begun)
    assert all(isinstance(token, Token) for token in tokens)
    assert isinstance(ended, Ended)
    assert ended.reason == ("length" if len(tokens) == 8 else "stop")


def test_requests_of_all_routes_together_are_answered_as_alone(engine, ids, expected):
    r = random.Random(0)
    asked = [(r.choice(ROUTES), r.randrange(len(ids))) for _ in range(300)]

    async def all_of_them(engine):
        eight = asyncio.Semaphore(8)

        async def one(route, i):
            async with eight:
                return tokens_of(await events_of(engine, route, ids[i]))

        return await asyncio.gather(*(one(*request) for request in asked))

    answers = engine.run(all_of_them)
    wrong = [request for request, answer in zip(asked, answers, strict=True) if answer != expected[request]]
    assert wrong == []


def test_who_stops_to_listen_ends_the_answer(engine, ids):
    async def leave(engine):
        for _ in range(20):
            listened = engine.generate("code", ids[0], Parameters(100))
            async for event in listened:
                if isinstance(event, Token):
                    break
            await listened.aclose()
        answer = await events_of(engine, "code", ids[0])
        return answer, engine.figures()["open"]

    answer, still_open = engine.run(leave)
    assert tokens_of(answer)
    assert still_open == 0


def test_random_answers_follow_their_seed(engine, ids):
    def drawn(seed):
        return tokens_of(engine.events("base", ids[0], temperature=1.0, seed=seed))

    assert drawn(1) == drawn(1)
    assert len({tuple(drawn(seed)) for seed in range(5)}) > 1


def test_logprobs_are_those_of_the_likeliest(engine, ids):
    events = engine.events("base", ids[0], logprobs=3)
    known = [event for event in events if isinstance(event, Token) and event.logprob != UNKNOWN]
    assert known, "llama-server does not say them for tokens that are a part of a letter"
    for token in known:
        assert token.likeliest[0][0] == token.id
        assert token.likeliest[0][1] == pytest.approx(token.logprob, abs=1e-4)
        assert [p for _, p in token.likeliest] == sorted((p for _, p in token.likeliest), reverse=True)


def test_a_grammar_is_kept(engine, ids, tokenizer):
    grammar = grammar_of({"enum": ["yes", "no"]})
    for seed in range(5):
        events = engine.events("base", ids[0], longest=20, temperature=1.5, seed=seed, grammar=grammar)
        assert tokenizer.decode(tokens_of(events)).strip() in ('"yes"', '"no"')


def test_a_prompt_without_room_for_an_answer_is_refused(engine):
    with pytest.raises(TooLongError):
        engine.events("base", [1] * LENGTH)


def test_an_answer_ends_where_the_context_does(engine):
    events = engine.events("base", [5] * 120, longest=1000)
    assert isinstance(events[-1], Ended)
    assert len(tokens_of(events)) <= 9


def test_an_unknown_route_is_an_error(engine, ids):
    with pytest.raises(KeyError):
        engine.events("nobody", ids[0])


def test_a_server_that_is_not_there_is_an_error(ids):
    engine = Asked(lambda: LlamaServer("http://127.0.0.1:9", ["code"], LENGTH), stays=False)
    with pytest.raises(UnavailableError, match="does not answer"):
        engine.events("base", ids[0])
