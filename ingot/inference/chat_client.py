"""Questions to a chat endpoint: several at a time, retried, remembered by the bytes of the request, and paid for."""

import asyncio
import contextlib
import fcntl
import hashlib
import itertools
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from ingot.errors import InputError
from ingot.io.records import read_json

T = TypeVar("T")
# The codes with which an endpoint refuses a text, and not all that we ask.
UNWANTED = ("content_filter", "content_policy_violation")
TOGETHER = 256  # requests that are under way, or wait for their turn, at a time
Request = dict[str, Any]


class BudgetSpentError(Exception):
    """The next request could cost more than the budget allows."""


class EndpointError(Exception):
    """The endpoint did not answer, after all retries."""


async def gather(asked: Iterable[Coroutine[Any, Any, T]]) -> list[T | BaseException]:
    """Wait for all; an exception is returned in place of what was asked."""
    return await asyncio.gather(*asked, return_exceptions=True)


def response_format(schema: dict[str, Any], structured: str) -> dict[str, Any]:
    """Return the part of a request that binds the answer to a JSON schema, as the endpoint understands it."""
    if structured == "json_schema":
        named = {"name": "answer", "strict": True, "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    return {"response_format": {"type": "json_object", "schema": schema}} if structured == "json_object" else {}


def write_whole(path: Path, text: str) -> None:
    """Write a file under a temporary name and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    partial.write_text(text, encoding="utf-8")
    partial.rename(path)


class Ledger:
    """What has been spent at an endpoint, by all runs together, in a file that several processes may write to."""

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path, self.prices, self.budget = path, settings["prices"], settings["budget"]
        self.reserved = {"tokens": 0, "cost": 0.0}

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """Return what tokens cost in USD."""
        return float(tokens_in * self.prices["input"] + tokens_out * self.prices["output"]) / 1e6

    def spent(self, tokens: int = 0, cost: float = 0.0) -> dict[str, float]:
        """Add to what was spent, and return all of it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path.with_suffix(".lock"), "w") as lock:
            with contextlib.suppress(OSError):  # a file system without locks: then one job at a time is counted right
                fcntl.flock(lock, fcntl.LOCK_EX)
            known = read_json(self.path) if self.path.exists() else {"tokens": 0, "cost": 0.0}
            total = {"tokens": known["tokens"] + tokens, "cost": known["cost"] + cost}
            if tokens:
                write_whole(self.path, json.dumps(total))
        return total

    def reserve(self, tokens: int, cost: float) -> None:
        """Set apart what a request may cost while it is under way, or, if negative, give it back."""
        self.reserved["tokens"] += tokens
        self.reserved["cost"] += cost

    def allows(self, tokens: int, cost: float) -> bool:
        """Tell whether the budget covers a request besides those that are under way."""
        total = self.spent()
        wanted = {"tokens": total["tokens"] + self.reserved["tokens"] + tokens}
        wanted["cost"] = total["cost"] + self.reserved["cost"] + cost
        return all(self.budget[name] is None or wanted[name] <= self.budget[name] for name in wanted)


class ChatClient:
    """Asks an endpoint with the interface of OpenAI's chat completions.

    Args:
        settings: `judge` of the configuration, or another endpoint, whose key there is `role`.
        answers: folder of the answers that are known: <folder>/<hash[:2]>/<hash>.json. They are found again by the
            bytes of the request and the address of the endpoint, so a second run costs nothing and needs no network.
    """

    def __init__(self, settings: dict[str, Any], answers: Path, role: str = "judge") -> None:
        self.settings, self.answers, self.role = settings, answers, role
        self.address = settings["endpoint"] or "https://api.openai.com/v1"
        name = hashlib.sha256(self.address.encode()).hexdigest()[:16]
        self.ledger = Ledger(answers / f"spent-{name}.json", settings)
        self.used, self.paid = Counter[str](), Counter[str]()
        self.places = asyncio.Semaphore(settings["concurrency"])
        self.settled = asyncio.Condition()
        self.client: Any = None

    def open(self) -> Any:
        """Return the client of the library, made when the first question must really be asked."""
        import openai

        if self.client is None:
            key = os.environ.get(self.settings["key_variable"])
            if not key and self.settings["endpoint"] is None:
                raise InputError(
                    f"{self.role}: the environment variable {self.settings['key_variable']} must hold the key"
                )
            self.client = openai.AsyncOpenAI(
                api_key=key or "none",
                base_url=self.address,
                timeout=self.settings["timeout"],
                max_retries=self.settings["retries"],  # connection, 408, 409, 429, 5xx; waits longer each time
            )
        return self.client

    def place(self, request: Request) -> Path:
        """Return where the answer to a request is kept."""
        data = json.dumps({"endpoint": self.address, "request": request}, sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(data.encode()).hexdigest()
        return self.answers / digest[:2] / f"{digest}.json"

    async def reserve(self, request: Request) -> tuple[int, float]:
        """Wait until the budget covers a request at its worst; BudgetSpentError if it never will."""
        # A token is a byte at least; templates add some.
        most_in = len(json.dumps(request["messages"], ensure_ascii=False).encode()) + 64
        tokens = most_in + request["max_tokens"]
        cost = self.ledger.cost(most_in, request["max_tokens"])
        async with self.settled:
            while not self.ledger.allows(tokens, cost):
                if not self.ledger.reserved["tokens"]:
                    raise BudgetSpentError
                await self.settled.wait()
            self.ledger.reserve(tokens, cost)
        return tokens, cost

    async def ask(self, request: Request) -> str:
        """Return the text of an answer, from memory or from the endpoint; "" if that will not read the question.

        Raises BudgetSpentError and EndpointError.
        """
        place = self.place(request)
        if place.exists():
            with contextlib.suppress(ValueError, KeyError):
                known = json.loads(place.read_text(encoding="utf-8"))
                self.used.update(answers=1, tokens_in=known["usage"]["in"], tokens_out=known["usage"]["out"])
                return str(known["answer"])
        async with self.places:
            tokens, cost = await self.reserve(request)
            try:
                answer, usage = await self.send(request)
                known = {"endpoint": self.address, "request": request, "answer": answer, "usage": usage}
                write_whole(place, json.dumps(known, ensure_ascii=False, indent=1))
            finally:
                async with self.settled:
                    self.ledger.reserve(-tokens, -cost)
                    self.settled.notify_all()
        return answer

    async def send(self, request: Request) -> tuple[str, dict[str, int]]:
        """Ask the endpoint and pay."""
        import openai

        client = self.open()
        for attempt in range(self.settings["retries"] + 1):
            try:
                found = await client.chat.completions.create(**request)
                answer = found.choices[0].message.content or ""
                usage = {"in": found.usage.prompt_tokens, "out": found.usage.completion_tokens}
                break
            except (
                openai.AuthenticationError,
                openai.PermissionDeniedError,
                openai.NotFoundError,
                openai.BadRequestError,
            ) as error:
                if error.code in UNWANTED:
                    answer, usage = "", {"in": 0, "out": 0}
                    break
                raise InputError(
                    f"{self.role}: {self.address} refuses the request: {error.status_code}, {error.message}"
                ) from None
            except openai.APIStatusError as error:
                raise EndpointError(f"status {error.status_code}") from None
            except openai.APIConnectionError as error:
                raise EndpointError(str(error)) from None
            except (openai.APIError, AttributeError, IndexError, TypeError, ValueError) as error:
                # A body that is no answer of a chat endpoint.
                if attempt == self.settings["retries"]:
                    raise EndpointError(f"garbage: {type(error).__name__}") from None
                self.paid["garbage"] += 1
                await asyncio.sleep(min(8, 0.5 * 2**attempt))
        self.ledger.spent(usage["in"] + usage["out"], self.ledger.cost(usage["in"], usage["out"]))
        for counts in (self.used, self.paid):
            counts.update(answers=1, tokens_in=usage["in"], tokens_out=usage["out"])
        return answer, usage

    async def ask_for(self, request: Request, parse: Callable[[str], T | None]) -> T | None:
        """Return what `parse` makes of the answer; None if every attempt was malformed.

        Each attempt is another request, with another seed, and kept like any other.
        """
        for attempt in range(self.settings["retries"] + 1):
            answer = await self.ask({**request, "seed": attempt, "temperature": 0.0 if attempt == 0 else 0.7})
            if (value := parse(answer)) is not None:
                return value
            self.used["malformed"] += 1
        return None

    def ask_each(self, requests: Iterable[Request], parse: Callable[[str], T | None], what: str) -> Iterator[T | None]:
        """Yield what `ask_for` returns for each request, in their order, some of them under way at a time.

        Raises InputError, after all that can be answered is answered and kept, where the budget is spent or the
        endpoint does not answer; `what` a request is about is named there. None is yielded in place of those.
        """
        waiting = iter(requests)
        beyond_budget = unanswered = 0
        reason = ""
        with asyncio.Runner() as runner:
            while batch := list(itertools.islice(waiting, TOGETHER)):
                asked = (self.ask_for(request, parse) for request in batch)
                for found in runner.run(gather(asked)):
                    if isinstance(found, BudgetSpentError):
                        beyond_budget += 1
                    elif isinstance(found, EndpointError):
                        unanswered += 1
                        reason = str(found)
                    elif isinstance(found, BaseException):
                        raise found
                    yield None if isinstance(found, BaseException) else found
        logging.getLogger("ingot").warning(self.account())
        if beyond_budget:
            raise InputError(
                f"the budget of the {self.role} is spent ({self.account()}): {beyond_budget} {what} are still without"
                f" an answer. Every answer is kept: raise {self.role}.budget and run again to go on"
            )
        if unanswered:
            raise InputError(
                f"the {self.role} at {self.address} did not answer for {unanswered} {what} ({reason}); the other"
                " answers are kept: run again to go on"
            )

    def figures(self) -> dict[str, float]:
        """Return what the answers that were used have cost, in this run or in an earlier one."""
        names = ("answers", "malformed", "tokens_in", "tokens_out")
        cost = self.ledger.cost(self.used["tokens_in"], self.used["tokens_out"])
        return {**{name: self.used[name] for name in names}, "cost_usd": round(cost, 6)}

    def account(self) -> str:
        """Return what this run has paid, and what all runs have, in words."""
        total = self.ledger.spent()
        cost = self.ledger.cost(self.paid["tokens_in"], self.paid["tokens_out"])
        return (
            f"this run asked {self.paid['answers']} times, {self.paid['tokens_in'] + self.paid['tokens_out']:,} tokens,"
            f" {cost:.4f} USD; all runs {total['tokens']:,} tokens, {total['cost']:.4f} USD"
        )
