"""The gate in front of the interface: keys, limits, sizes, times, request ids, logs and metrics, for every path."""

import asyncio
import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from ingot.serving.keys import Client, Keys
from ingot.serving.metrics import Metrics
from ingot.serving.openai import error_body

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOG = logging.getLogger("ingot.serving")
OPEN_PATHS = ("/health",)
PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/models", "/metrics", "/health", "/openapi.json")
COUNTED = ("/v1/chat/completions", "/v1/completions")
GIVEN_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
CLOSED = 499
"""The status, in logs and metrics, of a request whose client has gone (as nginx says it)."""


@dataclass
class Seen:
    """What is noted of a request, for logs and metrics."""

    id: str
    client: Client | None = None
    route: str = ""
    status: int = 0
    started: bool = False
    usage: Any = None
    """The tokens of the request so far, which are charged even if its client leaves."""
    notes: dict[str, Any] = field(default_factory=dict)


class StoppedError(Exception):
    """A request that gets no further than the gate."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers


class Gate:
    """An ASGI application around another one."""

    def __init__(
        self, app: App, keys: Keys | None, metrics: Metrics, *, largest: int, patience: float, slow_reader: float
    ) -> None:
        """Let only owners of `keys` in (everybody if None), with bodies of at most `largest` bytes.

        A body must be there after `patience` seconds, and a client must take a part of its answer in `slow_reader`.
        """
        self.app, self.keys, self.metrics = app, keys, metrics
        self.largest, self.patience, self.slow_reader = largest, patience, slow_reader
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        seen = Seen(request_id(scope))
        scope["state"] = {**scope.get("state", {}), "seen": seen}
        self.metrics.queue.inc()

        async def tracked(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.started, seen.status = True, message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", seen.id.encode())]
            async with asyncio.timeout(self.slow_reader):
                await send(message)

        try:
            seen.client = self.admit(scope)
            body = await self.body(scope, receive)
            await self.let_in(scope, body, receive, tracked, seen)
        except StoppedError as stopped:
            await respond(tracked, stopped)
        except TimeoutError:
            seen.status = CLOSED  # it does not read its answer
        finally:
            self.metrics.queue.dec()
            if seen.client and scope["path"] in COUNTED:
                seen.client.under_way -= 1
            self.note(scope, seen, time.perf_counter() - start)

    def admit(self, scope: Scope) -> Client | None:
        """Check the key and its limits. StoppedError if they do not let the request in."""
        path = scope["path"]
        if path in OPEN_PATHS:
            return None
        client = None
        if self.keys:
            given = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
            client = self.keys.find(given)
            if not client:
                raise StoppedError(
                    401,
                    "invalid_api_key",
                    "the key is missing or wrong: send `Authorization: Bearer KEY`",
                    **{"www-authenticate": "Bearer"},
                )
        if self.draining:
            raise StoppedError(503, "busy", "the server ends; try another one", **{"retry-after": "5"})
        if client and path in COUNTED and (wait := client.admit()):
            self.metrics.limited.inc()
            seconds = str(max(1, int(wait + 0.999)))
            raise StoppedError(
                429,
                "rate_limit_exceeded",
                f"the limit of this key is reached; try again in {seconds} seconds",
                **{"retry-after": seconds},
            )
        return client

    async def body(self, scope: Scope, receive: Receive) -> bytes:
        """Read the body whole. StoppedError if it is too large or too slow."""
        told = dict(scope["headers"]).get(b"content-length", b"0")
        too_large = StoppedError(
            413, "too_large", f"the request has more than {self.largest} bytes", connection="close"
        )
        if told.isdigit() and int(told) > self.largest:
            raise too_large
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.patience):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise StoppedError(CLOSED, "closed", "the client has gone")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > self.largest:
                        raise too_large
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise StoppedError(
                408, "too_slow", f"the request was not whole after {self.patience:g} seconds", connection="close"
            ) from None

    async def let_in(self, scope: Scope, body: bytes, receive: Receive, send: Send, seen: Seen) -> None:
        """Hand the request on, and cancel it as soon as its client has gone."""
        gone = asyncio.ensure_future(until_gone(receive))
        rest: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            if rest:
                return rest.pop()
            await asyncio.shield(gone)
            return {"type": "http.disconnect"}

        work = asyncio.ensure_future(self.app(scope, replay, send))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                seen.status = CLOSED
                work.cancel()
                await asyncio.wait({work})
            if not work.cancelled() and (error := work.exception()):
                await self.failed(error, send, seen)
        finally:
            gone.cancel()
            if not work.done():
                work.cancel()

    async def failed(self, error: BaseException, send: Send, seen: Seen) -> None:
        """Tell the log what went wrong, and the client that something did."""
        if isinstance(error, TimeoutError):
            raise error
        LOG.error("failed", exc_info=error, extra={"fields": {"request": seen.id}})
        if not seen.started:
            raise StoppedError(500, "server_error", f"the server failed; its log says more about {seen.id}")

    def note(self, scope: Scope, seen: Seen, seconds: float) -> None:
        """Count a request, and log it."""
        path = scope["path"]
        kept = next((known for known in PATHS if path == known or path.startswith(f"{known}/")), "other")
        self.metrics.requests.labels(kept, seen.route, str(seen.status)).inc()
        if seen.usage:
            seen.notes |= {
                "prompt_tokens": seen.usage.prompt,
                "cached_tokens": seen.usage.cached,
                "completion_tokens": seen.usage.completion,
            }
            if seen.client:
                seen.client.charge(seen.usage.prompt + seen.usage.completion)
        fields = {
            "request": seen.id,
            "client": seen.client.name if seen.client else None,
            "method": scope["method"],
            "path": kept,
            "route": seen.route or None,
            "status": seen.status,
            "seconds": round(seconds, 4),
            **seen.notes,
        }
        LOG.info("request", extra={"fields": {key: value for key, value in fields.items() if value is not None}})


def request_id(scope: Scope) -> str:
    """Return the id that a client gave its request, if it is a plain one, or a new one."""
    given = dict(scope["headers"]).get(b"x-request-id", b"")
    return given.decode() if GIVEN_ID.fullmatch(given) else secrets.token_hex(12)


async def until_gone(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def respond(send: Send, stopped: StoppedError) -> None:
    """Send an error."""
    if stopped.status == CLOSED:
        return
    body = json.dumps(error_body(str(stopped), stopped.code, stopped.status)).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **stopped.headers}
    encoded = [(key.encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": stopped.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
