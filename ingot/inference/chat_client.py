"""Ask a chat endpoint: several questions at a time, retried, kept by the bytes of the request, and within a budget."""

import asyncio
import contextlib
import fcntl
import hashlib
import itertools
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from ingot.errors import InputError
from ingot.io.files import write_whole
from ingot.io.records import read_json
from ingot.settings.judge import Endpoint

T = TypeVar("T")
# With these codes an endpoint refuses one text; with any other it would refuse all that we ask.
UNWANTED = ("content_filter", "content_policy_violation")
TOGETHER = 256  # requests that are under way, or wait for their turn, at a time
Request = dict[str, Any]


class BudgetSpentError(Exception):
    """The next request could cost more than is left of the budget."""


class EndpointError(Exception):
    """The endpoint has not answered, after all retries."""


async def gather(asked: Iterable[Coroutine[Any, Any, T]]) -> list[T | BaseException]:
    """Wait for all answers; an exception stands in place of the answer that raised it."""
    return await asyncio.gather(*asked, return_exceptions=True)


def response_format(schema: dict[str, Any], structured: str) -> dict[str, Any]:
    """Return the part of a request that tells the endpoint the JSON schema of the answer, in the way it understands."""
    if structured == "json_schema":
        named = {"name": "answer", "strict": True, "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    return {"response_format": {"type": "json_object", "schema": schema}} if structured == "json_object" else {}


def most_tokens_in(request: Request) -> int:
    """Return how many tokens a request can have at most. A token is a byte at least; templates add some."""
    return len(json.dumps(request["messages"], ensure_ascii=False).encode()) + 64


def fill(template: str, **texts: str) -> str:
    """Put texts into a template. A text cannot close or open the tags that the template stands them in."""
    tags = "|".join(sorted(set(re.findall(r"</(\w+)>", template))))
    safe = {name: re.sub(rf"<(\s*/?\s*(?:{tags})\b[^>]*)>", r"(\1)", text, flags=re.I) for name, text in texts.items()}
    return template.format(**safe)


@dataclass(frozen=True)
class Amount:
    """Tokens, and what they cost in USD."""

    tokens: int = 0
    cost: float = 0.0

    def plus(self, other: "Amount") -> "Amount":
        """Add two amounts."""
        return Amount(self.tokens + other.tokens, self.cost + other.cost)

    def minus(self, other: "Amount") -> "Amount":
        """Subtract an amount."""
        return Amount(self.tokens - other.tokens, self.cost - other.cost)


class Spending:
    """What all runs together have spent at an endpoint, in a file that several processes may write to."""

    def __init__(self, path: Path, settings: Endpoint) -> None:
        self.path, self.prices, self.budget = path, settings.prices, settings.budget
        self.reserved = Amount()
        """What the requests that are under way may cost."""

    def amount(self, tokens_in: int, tokens_out: int) -> Amount:
        """Return what tokens, asked and answered, are together, and what they cost."""
        cost = float(tokens_in * self.prices.input + tokens_out * self.prices.output) / 1e6
        return Amount(tokens_in + tokens_out, cost)

    def add(self, amount: Amount) -> Amount:
        """Add to what was spent, and return all that was."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path.with_suffix(".lock"), "w") as lock:
            with contextlib.suppress(OSError):  # a file system without locks: then only one job may ask at a time
                fcntl.flock(lock, fcntl.LOCK_EX)
            before = Amount(**read_json(self.path)) if self.path.exists() else Amount()
            total = before.plus(amount)
            if amount.tokens:
                write_whole(self.path, json.dumps(asdict(total)))
        return total

    def total(self) -> Amount:
        """Return all that was spent."""
        return self.add(Amount())

    def allows(self, amount: Amount) -> bool:
        """Tell whether the budget covers a request, besides those that are under way."""
        after = self.total().plus(self.reserved).plus(amount)
        within_tokens = self.budget.tokens is None or after.tokens <= self.budget.tokens
        return within_tokens and (self.budget.cost is None or after.cost <= self.budget.cost)


class ChatClient:
    """Asks an endpoint with the interface of OpenAI's chat completions.

    Args:
        settings: the judge, or another endpoint.
        remembered: the folder where answers are kept, as <folder>/<hash[:2]>/<hash>.json. They are found again by the
            bytes of the request and the address of the endpoint, so a second run costs nothing and needs no network.
        role: what messages call the endpoint; its key in the configuration.
    """

    def __init__(self, settings: Endpoint, remembered: Path, role: str = "judge") -> None:
        self.settings, self.remembered, self.role = settings, remembered, role
        self.address = settings.endpoint or "https://api.openai.com/v1"
        name = hashlib.sha256(self.address.encode()).hexdigest()[:16]
        self.spending = Spending(remembered / f"spent-{name}.json", settings)
        self.used, self.paid = Counter[str](), Counter[str]()
        self.places = asyncio.Semaphore(settings.concurrency)
        self.settled = asyncio.Condition()
        self.client: Any = None

    def open(self) -> Any:
        """Return the client of OpenAI's library. It is made when the first question must really be asked."""
        import openai

        if self.client is None:
            key = os.environ.get(self.settings.key_variable)
            if not key and self.settings.endpoint is None:
                raise InputError(
                    f"{self.role}: the environment variable {self.settings.key_variable} must hold the key"
                )
            self.client = openai.AsyncOpenAI(
                api_key=key or "none",
                base_url=self.address,
                timeout=self.settings.timeout,
                max_retries=self.settings.retries,  # connection, 408, 409, 429, 5xx; waits longer each time
            )
        return self.client

    def place(self, request: Request) -> Path:
        """Return where the answer to a request is kept."""
        data = json.dumps({"endpoint": self.address, "request": request}, sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(data.encode()).hexdigest()
        return self.remembered / digest[:2] / f"{digest}.json"

    async def reserve(self, request: Request) -> Amount:
        """Wait until the budget covers the most that a request can cost; BudgetSpentError if it never will."""
        amount = self.spending.amount(most_tokens_in(request), request["max_tokens"])
        async with self.settled:
            while not self.spending.allows(amount):
                if not self.spending.reserved.tokens:
                    raise BudgetSpentError
                await self.settled.wait()
            self.spending.reserved = self.spending.reserved.plus(amount)
        return amount

    async def ask(self, request: Request) -> str:
        """Return the text of an answer, kept or new; "" if the endpoint refuses to read the question.

        Raises BudgetSpentError and EndpointError.
        """
        place = self.place(request)
        if place.exists():
            with contextlib.suppress(ValueError, KeyError):
                kept = json.loads(place.read_text(encoding="utf-8"))
                self.used.update(answers=1, tokens_in=kept["usage"]["in"], tokens_out=kept["usage"]["out"])
                return str(kept["answer"])
        async with self.places:
            reserved = await self.reserve(request)
            try:
                answer, usage = await self.send(request)
                kept = {"endpoint": self.address, "request": request, "answer": answer, "usage": usage}
                write_whole(place, json.dumps(kept, ensure_ascii=False, indent=1))
            finally:
                async with self.settled:
                    self.spending.reserved = self.spending.reserved.minus(reserved)
                    self.settled.notify_all()
        return answer

    async def send(self, request: Request) -> tuple[str, dict[str, int]]:
        """Ask the endpoint, and pay; return the answer and its tokens.

        BudgetSpentError if the budget does not cover another try: what is reserved for a request covers one.
        """
        import openai

        client = self.open()
        for attempt in range(self.settings.retries + 1):
            try:
                completion = await client.chat.completions.create(**request)
                completion.choices  # noqa: B018  (what has none, such as a page of a proxy, is no answer, and not paid)
                usage = self.pay(completion, request)
                answer = completion.choices[0].message.content or ""
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
                # What came back is no answer of a chat endpoint.
                if attempt == self.settings.retries:
                    raise EndpointError(f"garbage: {type(error).__name__}") from None
                self.paid["garbage"] += 1
                if not self.spending.allows(Amount()):
                    raise BudgetSpentError from None
                await asyncio.sleep(min(8, 0.5 * 2**attempt))
        self.used.update(answers=1, tokens_in=usage["in"], tokens_out=usage["out"])
        self.paid["answers"] += 1
        return answer, usage

    def pay(self, completion: Any, request: Request) -> dict[str, int]:
        """Debit a response, whatever is in it, and return its tokens.

        An endpoint that does not tell them may have counted the most that is possible.
        """
        told = getattr(completion, "usage", None)
        counts: list[Any] = [getattr(told, name, None) for name in ("prompt_tokens", "completion_tokens")]
        if not all(isinstance(count, int) and count >= 0 for count in counts):
            counts = [most_tokens_in(request), request["max_tokens"]]
        usage = dict(zip(("in", "out"), counts, strict=True))
        self.spending.add(self.spending.amount(usage["in"], usage["out"]))
        self.paid.update(tokens_in=usage["in"], tokens_out=usage["out"])
        return usage

    async def ask_for(self, request: Request, parse: Callable[[str], T | None]) -> T | None:
        """Return what `parse` makes of the answer; None if the answers of all attempts were malformed.

        Each attempt is a request of its own, with another seed, and its answer is kept like any other.
        """
        for attempt in range(self.settings.retries + 1):
            answer = await self.ask({**request, "seed": attempt, "temperature": 0.0 if attempt == 0 else 0.7})
            if (value := parse(answer)) is not None:
                return value
            self.used["malformed"] += 1
        return None

    def ask_each(self, requests: Iterable[Request], parse: Callable[[str], T | None], what: str) -> Iterator[T | None]:
        """Yield what `ask_for` returns for each request, in order. Several requests are under way at a time.

        Raises InputError at the end if the budget is spent or the endpoint did not answer. By then, everything that
        could be answered is answered and kept; in place of the rest, None was yielded. The message calls the things
        that the requests are about `what`.
        """
        waiting = iter(requests)
        beyond_budget = unanswered = 0
        reason = ""
        with asyncio.Runner() as runner:
            while batch := list(itertools.islice(waiting, TOGETHER)):
                asked = (self.ask_for(request, parse) for request in batch)
                for result in runner.run(gather(asked)):
                    if isinstance(result, BudgetSpentError):
                        beyond_budget += 1
                    elif isinstance(result, EndpointError):
                        unanswered += 1
                        reason = str(result)
                    elif isinstance(result, BaseException):
                        raise result
                    yield None if isinstance(result, BaseException) else result
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
        """Return what the answers that were used have cost, whether this run or an earlier one paid for them."""
        names = ("answers", "malformed", "tokens_in", "tokens_out")
        cost = self.spending.amount(self.used["tokens_in"], self.used["tokens_out"]).cost
        return {**{name: self.used[name] for name in names}, "cost_usd": round(cost, 6)}

    def account(self) -> str:
        """Say what this run has paid, and what all runs have."""
        total = self.spending.total()
        paid = self.spending.amount(self.paid["tokens_in"], self.paid["tokens_out"])
        return (
            f"this run asked {self.paid['answers']} times, {paid.tokens:,} tokens, {paid.cost:.4f} USD;"
            f" all runs {total.tokens:,} tokens, {total.cost:.4f} USD"
        )
