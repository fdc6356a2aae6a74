"""Answers as they are written, piece by piece."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from ingot.serving.protocol import Begun, Event, Token
from ingot.serving.texts import Texts


@dataclass
class Usage:
    """How many tokens a request has cost."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0

    def to_json(self) -> dict[str, Any]:
        """Write it as OpenAI does."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached},
        }


@dataclass(frozen=True)
class Piece:
    """A piece of an answer: the text that can be shown now, its tokens, and how the answer ended if it did."""

    index: int
    text: str = ""
    tokens: tuple[Token, ...] = ()
    finish: str | None = None
    call: tuple[str, dict[str, Any]] | None = None


async def nothing() -> AsyncGenerator[Piece, None]:
    """Yield nothing."""
    nobody: tuple[Piece, ...] = ()
    for piece in nobody:
        yield piece


async def pieces_of(
    index: int, events: AsyncGenerator[Event, None], texts: Texts, stops: list[str], usage: Usage
) -> AsyncGenerator[Piece, None]:
    """Turn the events of an answer into pieces of text, up to a stop text."""
    writer = texts.writer(stops)
    hidden: tuple[Token, ...] = ()
    async with aclosing(events) as listened:
        async for event in listened:
            if isinstance(event, Begun):
                usage.cached = max(usage.cached, event.cached)
                yield Piece(index)
            elif isinstance(event, Token):
                usage.completion += 1
                text = writer.add(event.id)
                hidden = (*hidden, event)
                if writer.stopped:
                    yield Piece(index, text, hidden, "stop")
                    return
                if text:
                    yield Piece(index, text, hidden)
                    hidden = ()
            else:
                yield Piece(index, writer.rest(), hidden, event.reason)


async def merged(several: list[AsyncGenerator[Piece, None]]) -> AsyncGenerator[Piece, None]:
    """Yield the pieces of several answers as they come."""
    queue: asyncio.Queue[Piece | BaseException | None] = asyncio.Queue()

    async def pump(pieces: AsyncGenerator[Piece, None]) -> None:
        try:
            async with aclosing(pieces) as open_pieces:
                async for piece in open_pieces:
                    queue.put_nowait(piece)
            queue.put_nowait(None)
        except Exception as error:
            queue.put_nowait(error)

    tasks = [asyncio.create_task(pump(pieces)) for pieces in several]
    try:
        left = len(tasks)
        while left:
            got = await queue.get()
            if isinstance(got, BaseException):
                raise got
            if got is None:
                left -= 1
            else:
                yield got
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
