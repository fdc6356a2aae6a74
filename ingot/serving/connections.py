"""Connections that nobody can hold for ever.

The head of a request is bounded in bytes and in time, and so is how long nothing of an answer is taken. uvicorn bounds
neither. Bodies, and how long an answer takes to write, are bounded by the gate.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ingot.serving.openai import error_body

KEPT_ALIVE = 30
"""Seconds that a connection may rest between two requests."""
LARGEST_HEAD = 1 << 16
"""Bytes of the first line and the headers of a request."""
PATIENCE = 30.0
"""Seconds in which they must be there."""
SLOW_READER = 60.0
"""A client that takes no byte of what waits for it is cut off after half as many seconds, or after as many."""
REASONS = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}


class Connection(HttpToolsProtocol):
    """A connection of a client."""

    head_bytes: int | None = 0
    """How many bytes of a head were read so far. None while a body or an answer is under way."""
    whole: bool = False
    """Whether the last request has been read to its end."""
    timer: asyncio.TimerHandle | None = None
    watch: asyncio.TimerHandle | None = None
    unread: int = 0
    """Bytes that waited for the client when it was last looked at."""

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request."""
        super().connection_made(transport)
        self.await_head()
        self.watch_reader()

    def await_head(self) -> None:
        """Wait for the head of a request."""
        self.head_bytes = 0
        self.stop_timer()
        self.timer = self.loop.call_later(PATIENCE, self.give_up)

    def stop_timer(self) -> None:
        """Wait for no head any more."""
        if self.timer:
            self.timer.cancel()
        self.timer = None

    def on_message_begin(self) -> None:
        """Begin a request; it may be the second one of this connection."""
        super().on_message_begin()
        if self.head_bytes is None:
            self.await_head()

    def on_headers_complete(self) -> None:
        """Go on with the body."""
        self.head_bytes, self.whole = None, False
        self.stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the body is there."""
        super().on_message_complete()
        self.whole = True

    def data_received(self, data: bytes) -> None:
        """Read what has come."""
        super().data_received(data)
        if self.head_bytes is None and self.whole and self.cycle.response_complete:
            self.await_head()  # it has sent something that begins no request, such as the end of a line
        if self.head_bytes is not None:
            self.head_bytes += len(data)
            if self.head_bytes > LARGEST_HEAD:
                self.refuse(431, "headers_too_large", f"the headers have more than {LARGEST_HEAD:,} bytes")

    def watch_reader(self) -> None:
        """Cut the client off if as many bytes wait for it as before. A closed transport, too, waits for it to read."""
        before, self.unread = self.unread, self.transport.get_write_buffer_size()
        if self.unread and self.unread == before:
            self.transport.abort()
        else:
            self.watch = self.loop.call_later(SLOW_READER / 2, self.watch_reader)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.stop_timer()
        if self.watch:
            self.watch.cancel()
        super().connection_lost(exc)

    def give_up(self) -> None:
        """Close the connection, unless an earlier request of it is still being answered."""
        if self.cycle and not self.cycle.response_complete:
            self.await_head()
        elif self.head_bytes:
            self.refuse(408, "timeout", f"the headers were not there after {PATIENCE:g} seconds")
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, in the form of every other error."""
        self.refuse(400, "invalid_request", "this is not a request in HTTP/1.1")

    def refuse(self, status: int, code: str, message: str) -> None:
        """Send an error, and close the connection. An answer that is under way is cut off."""
        if not self.transport.is_closing():
            body = json.dumps(error_body(message, code, status)).encode()
            head = f"HTTP/1.1 {status} {REASONS[status]}\r\nconnection: close\r\ncontent-type: application/json\r\n"
            self.transport.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            self.transport.close()


class Server(uvicorn.Server):
    """Leaves signals to us: uvicorn would end the process by them, before the models are freed."""

    def __init__(self, app: Any, drain: int) -> None:
        """Serve an ASGI application. At the end, answers under way get `drain` seconds."""
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=drain,
                timeout_keep_alive=KEPT_ALIVE,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
