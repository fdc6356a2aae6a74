"""The engine behind another server: a `llama-server` that has the base and all modifiers of the release loaded."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx

from ingot.serving.protocol import (
    BASE,
    Begun,
    BusyError,
    Ended,
    Event,
    Parameters,
    Token,
    TooLongError,
    TooSlowError,
    UnavailableError,
)


class LlamaServer:
    """Asks a llama-server, which was started with `--lora` for each modifier, in the order of the routes.

    It answers a request without `lora` by what it did last, and its prompt cache does not know modifiers. So each
    request says the scale of every modifier, and reuses no cache. An answer comes whole.
    """

    def __init__(
        self, url: str, modifiers: list[str], length: int, key: str | None = None, most_waiting: int = 256
    ) -> None:
        """Take the address of the server, and the names of the modifiers in its order."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self.client = httpx.AsyncClient(base_url=url, headers=headers, timeout=httpx.Timeout(600, connect=5))
        self.modifiers, self.length = modifiers, length
        self.most_waiting = most_waiting
        self.open = 0

    @property
    def routes(self) -> tuple[str, ...]:
        """The names of the routes, the base first."""
        return (BASE, *self.modifiers)

    def body(self, route: str, tokens: list[int], parameters: Parameters) -> dict[str, Any]:
        """Write a request."""
        scales = [{"id": i, "scale": float(name == route)} for i, name in enumerate(self.modifiers)]
        return {
            "prompt": tokens,
            # It rounds its own context up to a multiple of 256 tokens for each request.
            "n_predict": min(parameters.longest, self.length - len(tokens)),
            "temperature": parameters.temperature,
            "top_k": 0,
            "top_p": parameters.top_p,
            "min_p": 0,
            "seed": parameters.seed % (1 << 32),
            "samplers": ["temperature", "top_p"],
            "n_probs": max(1, parameters.logprobs) if parameters.logprobs is not None else 0,
            "grammar": parameters.grammar or "",
            "lora": scales,
            "cache_prompt": False,
            "return_tokens": True,
            # Its streams leave out the tokens of a letter that is not whole yet.
            "stream": False,
        }

    async def generate(self, route: str, tokens: list[int], parameters: Parameters) -> AsyncGenerator[Event, None]:
        """Yield Begun, the tokens of the answer, and Ended.

        Raises ServingError if there is no answer, and KeyError for a route that is not there.
        """
        if route not in self.routes:
            raise KeyError(route)
        if len(tokens) >= self.length:
            raise TooLongError(
                f"the prompt has {len(tokens)} tokens, and prompt and answer have {self.length} together"
            )
        if self.open >= self.most_waiting:
            raise BusyError("too many requests are waiting; try again later")
        self.open += 1
        try:
            async with asyncio.timeout(parameters.seconds):
                response = await self.client.post("/completion", json=self.body(route, tokens, parameters))
            if response.status_code != 200:
                said = response.text[:500]
                raise UnavailableError(f"llama-server answers with status {response.status_code}: {said}")
            for event in events_of(response.json(), parameters.logprobs):
                yield event
        except TimeoutError:
            raise TooSlowError(f"the answer was not whole after {parameters.seconds:g} seconds") from None
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
            raise UnavailableError(f"llama-server does not answer: {type(error).__name__}") from None
        finally:
            self.open -= 1

    def figures(self) -> dict[str, Any]:
        """Tell how many requests are open."""
        return {"open": self.open}

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()


UNKNOWN = -9999.0
"""The logarithm of a probability that nobody knows, as OpenAI writes it."""


def events_of(said: dict[str, Any], wanted: int | None) -> list[Event]:
    """Read an answer of llama-server. It says no probabilities of tokens that are a part of a letter."""
    chances = list(reversed(said.get("completion_probabilities", [])))
    events: list[Event] = [Begun(0)]
    tokens, at_an_end = said["tokens"], said["stop_type"] == "eos"
    if at_an_end and len(tokens) == said["tokens_predicted"]:
        tokens = tokens[:-1]  # the end token is no part of an answer
    for token in tokens:
        if wanted is None:
            events.append(Token(token))
        elif chances and chances[-1]["id"] == token:
            chance = chances.pop()
            likeliest = [(one["id"], one["logprob"]) for one in chance["top_logprobs"]][:wanted]
            events.append(Token(token, chance["logprob"], tuple(likeliest)))
        else:
            events.append(Token(token, UNKNOWN))
    return [*events, Ended("stop" if at_an_end else "length")]
