"""What every engine speaks, be it the lanes of this process or another server: tokens in, events out."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

BASE = "base"
"""The route of the base alone. All others have the name of a modifier."""


class ServingError(Exception):
    """A request that gets no answer. `status` is that of HTTP, `code` is for programs."""

    status, code = 500, "server_error"


class BusyError(ServingError):
    """Too many requests wait, or the server is about to end."""

    status, code = 503, "busy"


class UnavailableError(ServingError):
    """The engine cannot answer: there is no memory for the route, or the server behind it does not answer."""

    status, code = 503, "unavailable"


class TooLongError(ServingError):
    """A prompt leaves no room for an answer."""

    status, code = 400, "context_length_exceeded"


class TooSlowError(ServingError):
    """An answer took longer than the server allows."""

    status, code = 504, "timeout"


class NoTokenError(ServingError):
    """No token of the vocabulary goes on in the way that the schema asks for."""

    status, code = 500, "schema_cannot_be_met"


@dataclass(frozen=True)
class Parameters:
    """How an answer is chosen."""

    longest: int
    """At most so many tokens."""
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    logprobs: int | None = None
    """For each token its log-probability, and those of so many of the likeliest ones; None: none of them."""
    seconds: float = 600.0
    """The answer must be whole after so long."""
    grammar: str | None = None
    """The answer is in this grammar, in llama.cpp's notation (GBNF), with the rule `root`."""
    asker: str = ""
    """Who asks: what was read for one is not kept for another, who could tell by it what was asked."""


@dataclass(frozen=True)
class Begun:
    """The prompt has been read."""

    cached: int
    """How many of its tokens were still there from an earlier request."""


@dataclass(frozen=True)
class Token:
    """A token of the answer, with its log-probability and the likeliest tokens beside it, if they were asked for."""

    id: int
    logprob: float = 0.0
    likeliest: Sequence[tuple[int, float]] = field(default=())


@dataclass(frozen=True)
class Ended:
    """The answer is whole (`stop`) or was cut off (`length`)."""

    reason: Literal["stop", "length"]
    logprob: float = 0.0
    """That of the token that ends the answer, if log-probabilities were asked for."""


Event = Begun | Token | Ended


class Engine(Protocol):
    """Answers prompts by routes. Whoever stops to listen ends the answer."""

    @property
    def routes(self) -> Sequence[str]:
        """The names of the routes, the base first."""

    length: int
    """How many tokens a prompt and its answer may have together."""

    def generate(self, route: str, tokens: list[int], parameters: Parameters) -> AsyncGenerator[Event, None]:
        """Yield Begun, the tokens of the answer, and Ended. ServingError if there is no answer."""

    def figures(self) -> dict[str, Any]:
        """Tell what the engine does at the moment, for the metrics."""

    async def close(self) -> None:
        """End all answers and free the memory."""
