"""Answer requests with a release: choose the route, write the prompt, and follow the answer."""

import asyncio
import math
import secrets
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ingot.errors import InputError
from ingot.serving.calls import hold_back_calls
from ingot.serving.grammars import call_schema, grammar_of
from ingot.serving.pieces import Piece, Usage, merged, nothing, pieces_of
from ingot.serving.protocol import BASE, Ended, Engine, Event, Parameters, Token, TooLongError
from ingot.serving.release_store import Release
from ingot.serving.requests import ChatRequest, CompletionRequest, NamedTool
from ingot.serving.routes import AUTO, Choice, Past, Routes
from ingot.serving.texts import Texts, all_texts

ANY_OBJECT = {"type": "object"}
CALL = ("name", "arguments")
MOST_LOGPROBS = 20_000
"""Log-probabilities of an answer: of all its tokens, with the likeliest beside each."""
LONG_TEXT = 20_000
"""Characters from which a prompt is tokenised beside the other requests."""


class RefusedError(Exception):
    """A request that cannot be answered as it is. `param` is the key that is wrong."""

    def __init__(self, message: str, param: str | None = None, status: int = 400, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.param, self.status, self.code = param, status, code


@dataclass(frozen=True)
class Settings:
    """What whoever runs the server decides."""

    seconds: float = 600.0
    """An answer must be whole after so long."""
    most_tokens: int = 4096
    """No answer has more tokens."""
    least_confidence: float | None = None
    """The way by confidence: the base answers first, and the likeliest modifier again if it was less sure than this."""


@dataclass
class Reply:
    """What a request will get: its route, the pieces of its answers, and what they cost so far."""

    loaded: "Loaded"
    choice: Choice
    pieces: AsyncGenerator[Piece, None]
    usage: Usage


@dataclass(eq=False)
class Loaded:
    """A release in memory. A reload puts another one in its place."""

    release: Release
    engine: Engine
    texts: Texts
    routes: Routes
    preparing: int = 0
    """How many requests are being prepared for it, beside those that the engine knows."""

    @contextmanager
    def held(self) -> Iterator["Loaded"]:
        """See to it that it is not closed meanwhile."""
        self.preparing += 1
        try:
            yield self
        finally:
            self.preparing -= 1

    @property
    def models(self) -> list[str]:
        """The names that requests may use: `auto` if there is a router, the base, and the modifiers."""
        return [*([AUTO] if self.routes.router else []), *self.engine.routes]


class Service:
    """Answers requests. It knows nothing of HTTP."""

    def __init__(self, loaded: Loaded, settings: Settings) -> None:
        """Take a release in memory."""
        self.loaded, self.settings = loaded, settings

    async def chat(self, request: ChatRequest, asker: str = "") -> Reply:
        """Begin the next message of a conversation. RefusedError or ServingError if there is none.

        `asker` is the name of whoever asks: nobody is told what others have asked.
        """
        with self.loaded.held() as loaded:
            return await self.chat_with(loaded, request, asker)

    async def chat_with(self, loaded: Loaded, request: ChatRequest, asker: str) -> Reply:
        """Begin the next message of a conversation, by a release."""
        check_model(loaded, request.model)
        messages = [message.plain() for message in request.messages]
        tools = [tool.model_dump(exclude_none=True) for tool in request.tools or ()] if request.calls else None
        grammar = await asyncio.to_thread(grammar_for, request) if request.response_format or tools else None
        try:
            prompt = await beside(lambda: loaded.texts.ids_of(messages, tools), [messages, tools])
        except (ValueError, TypeError) as error:
            raise RefusedError(str(error), "messages") from None
        check_length(loaded, prompt)
        past = None
        if request.model == AUTO:
            choice, past = loaded.routes.choose(messages, len(prompt), asker)
        else:
            choice = Choice(request.model, "named")
        reply = self.reply(loaded, request, prompt, choice, grammar, messages, asker)
        names = {tool.function.name for tool in request.tools or ()} if tools else set()
        reply.pieces = self.followed(reply, reply.pieces, messages, past, names)
        return reply

    async def complete(self, request: CompletionRequest, asker: str = "") -> Reply:
        """Begin to go on with a text. RefusedError or ServingError if it cannot be done."""
        with self.loaded.held() as loaded:
            return await self.complete_with(loaded, request, asker)

    async def complete_with(self, loaded: Loaded, request: CompletionRequest, asker: str) -> Reply:
        """Begin to go on with a text, by a release."""
        check_model(loaded, request.model)
        if isinstance(request.prompt, str):
            text = request.prompt
            prompt = await beside(lambda: list(loaded.texts.plain.encode(text).ids), [text])
        else:
            prompt = request.prompt
            if any(token >= len(loaded.texts.tokenizer) for token in prompt):
                raise RefusedError("`prompt` has ids that are no tokens of this model", "prompt")
            text = loaded.texts.ids.decode(prompt)
        if not prompt:
            raise RefusedError("`prompt` is empty", "prompt")
        check_length(loaded, prompt)
        messages = [{"role": "user", "content": text}]
        choice = Choice(request.model, "named")
        if request.model == AUTO:
            choice, _ = loaded.routes.choose(messages, len(prompt), asker)
        return self.reply(loaded, request, prompt, choice, None, messages, asker)

    def reply(
        self,
        loaded: Loaded,
        request: ChatRequest | CompletionRequest,
        prompt: list[int],
        choice: Choice,
        grammar: str | None,
        messages: list[dict[str, Any]],
        asker: str,
    ) -> Reply:
        """Begin the answers to a prompt."""
        longest = min(request.longest or self.settings.most_tokens, self.settings.most_tokens)
        longest = min(longest, loaded.engine.length - len(prompt))
        wanted = request.wanted_logprobs
        if (wanted or 0) * request.n * longest > MOST_LOGPROBS:
            raise RefusedError(
                f"`logprobs` for more than {MOST_LOGPROBS:,} tokens; lower it, `n` or `max_tokens`", "logprobs"
            )
        seed = request.seed if request.seed is not None else secrets.randbits(62)
        # OpenAI's default is 1. Small models answer best greedily, and so they were measured.
        temperature = request.temperature or 0.0
        by_confidence = (
            self.settings.least_confidence is not None
            and request.model == AUTO
            and request.n == 1  # one route is told of all choices
            and bool(loaded.routes.router)
        )
        several = [
            Parameters(
                longest=longest,
                temperature=temperature,
                top_p=request.top_p or 1.0,
                seed=(seed + i) % (1 << 62),
                logprobs=0 if wanted is None and by_confidence else wanted,
                grammar=grammar,
                seconds=self.settings.seconds,
                asker=asker,
            )
            for i in range(request.n)
        ]
        usage = Usage(len(prompt))
        reply = Reply(loaded, choice, nothing(), usage)
        if by_confidence and choice.reason == "router":
            reply.choice = Choice(BASE, "confidence", choice.probability, self.settings.least_confidence)

        def events(parameters: Parameters) -> AsyncGenerator[Event, None]:
            if reply.choice.reason == "confidence":
                return self.by_confidence(loaded, reply, prompt, parameters, messages)
            return loaded.engine.generate(reply.choice.route, prompt, parameters)

        pieces = [
            pieces_of(i, events(parameters), loaded.texts, request.stops, usage) for i, parameters in enumerate(several)
        ]
        reply.pieces = pieces[0] if len(pieces) == 1 else merged(pieces)
        return reply

    async def by_confidence(
        self,
        loaded: Loaded,
        reply: Reply,
        prompt: list[int],
        parameters: Parameters,
        messages: list[dict[str, Any]],
    ) -> AsyncGenerator[Event, None]:
        """Let the base answer; if it was not sure enough, let the likeliest modifier answer instead."""
        first = [event async for event in loaded.engine.generate(BASE, prompt, parameters)]
        reply.usage.completion += sum(isinstance(event, Token) for event in first)
        logprobs = [event.logprob for event in first if isinstance(event, Token | Ended)]
        confidence = math.exp(sum(logprobs) / len(logprobs)) if logprobs else 0.0
        least = self.settings.least_confidence or 0.0
        if confidence >= least:
            reply.choice = Choice(BASE, "confidence", confidence, least)
            reply.usage.completion = 0  # they are counted as they are shown
            for event in first:
                yield event
            return
        reply.choice = loaded.routes.likeliest_modifier(messages)
        async with aclosing(loaded.engine.generate(reply.choice.route, prompt, parameters)) as again:
            async for event in again:
                yield event

    async def followed(
        self,
        reply: Reply,
        pieces: AsyncGenerator[Piece, None],
        messages: list[dict[str, Any]],
        past: Past | None,
        names: set[str],
    ) -> AsyncGenerator[Piece, None]:
        """Yield the pieces of an answer; read calls of functions in them, and remember the conversation at its end.

        `names` are those of the functions that may be called.
        """
        answer: dict[str, Any] = {"role": "assistant", "content": ""}
        held: dict[int, str] = {}
        async with aclosing(pieces) as open_pieces:
            async for piece in open_pieces:
                shown = hold_back_calls(piece, held, names) if names else piece
                if shown.index == 0:
                    answer["content"] += shown.text
                    if shown.call:
                        answer["tool_calls"] = [{"function": dict(zip(CALL, shown.call, strict=True))}]
                yield shown
        if past and (answer["content"] or "tool_calls" in answer):
            past = replace(past, tried=(*past.tried[:-1], reply.choice.route))
            reply.loaded.routes.memory.keep([*messages, answer], past)


def check_model(loaded: Loaded, name: str) -> None:
    """Refuse a model that is not there."""
    if name not in loaded.models:
        raise RefusedError(
            f"the model {name[:100]!r} does not exist; there are {', '.join(loaded.models)}",
            "model",
            404,
            "model_not_found",
        )


def grammar_for(request: ChatRequest) -> str | None:
    """Make the grammar that a request asks for, if it does. RefusedError if it has none."""
    try:
        if request.calls and request.tool_choice not in (None, "auto"):
            functions = [tool.function.model_dump(exclude_none=True) for tool in request.tools or ()]
            if isinstance(request.tool_choice, NamedTool):
                wanted = request.tool_choice.function.name
                functions = [function for function in functions if function["name"] == wanted]
            return grammar_of(call_schema(functions))
    except InputError as error:
        raise RefusedError(str(error), "tools") from None
    try:
        if not request.response_format or request.response_format.type == "text":
            return None
        if request.response_format.type == "json_object":
            return grammar_of(ANY_OBJECT)
        return grammar_of(request.response_format.json_schema.schema_)
    except InputError as error:
        raise RefusedError(str(error), "response_format") from None


def check_length(loaded: Loaded, prompt: list[int]) -> None:
    """Refuse a prompt that leaves no room for an answer."""
    if len(prompt) >= loaded.engine.length:
        raise TooLongError(
            f"the prompt has {len(prompt)} tokens, and prompt and answer have {loaded.engine.length} together"
        )


async def beside(work: Callable[[], list[int]], texts: Any) -> list[int]:
    """Do short work at once, and long work in a thread, so that the other requests go on."""
    long = sum(map(len, all_texts(texts))) > LONG_TEXT
    return await asyncio.to_thread(work) if long else work()
