"""Who may open a page on this machine: whoever has the address with its token, from this machine's own names alone."""

import hashlib
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ingot.errors import InputError

COOKIE = "ingot-page-"
"""How the name of the cookie begins. A browser sends those of all ports of a machine, so each page has its own."""
UPLOADS = "/gradio_api/upload"
# Nothing is loaded from elsewhere, whatever a model writes. The scripts of the page itself need the rest.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'; form-action 'self';"
    " base-uri 'self'"
)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Guard:
    """An ASGI application around another one."""

    def __init__(self, app: Any, token: str, names: set[str], command: str) -> None:
        """Guard `app`. `names` are the hosts that a browser may call it by, `command` is what has printed the token."""
        self.app, self.token, self.names, self.command = app, token, names, command
        self.policy = POLICY
        self.cookie = COOKIE + hashlib.sha256(token.encode()).hexdigest()[:8]

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        except ValueError:
            host = ""
        origin = headers.get("origin")
        if host not in self.names or (origin and urlsplit(origin).netloc != headers.get("host")):
            await refuse(scope, send, 403, "This page is only for its own address.")
        elif scope["type"] == "http" and self.knows(
            parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        ):  # also for a browser that has the cookie: the token does not stay in its address
            await self.let_in(send)
        elif self.knows(cookie_of(headers.get("cookie", ""), self.cookie)):
            await self.app(scope, receive, self.with_policy(send))
        else:
            await refuse(scope, send, 403, f"Open the address that `{self.command}` has printed: it has a token in it.")

    def knows(self, given: str) -> bool:
        """Tell whether a token is the right one."""
        return secrets.compare_digest(given.encode(), self.token.encode())

    async def let_in(self, send: Send) -> None:
        """Give a browser the token as a cookie, and an address without it."""
        cookie = f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def with_policy(self, send: Send) -> Send:
        """Add to every answer that nothing is to be loaded from elsewhere."""

        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = [(b"content-security-policy", self.policy.encode()), (b"referrer-policy", b"no-referrer")]
                message = {**message, "headers": [*message.get("headers", []), *own]}
            await send(message)

        return sending


class Open(Guard):
    """An ASGI application for everybody, as a page of a hub is, which may show it in a frame."""

    def __init__(self, app: Any) -> None:
        """Open `app` to everybody."""
        super().__init__(app, "", set(), "")
        self.policy = POLICY.replace(" frame-ancestors 'none';", "")

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request. No file is taken: the page has no use for one."""
        if scope["type"] == "http" and scope["path"].startswith(UPLOADS):
            await refuse(scope, send, 403, "This page takes no files.")
        else:
            await self.app(scope, receive, self.with_policy(send) if scope["type"] == "http" else send)


class Without:
    """An ASGI application around another one, whose pages do not say where something is on this machine."""

    def __init__(self, app: Any, places: list[str]) -> None:
        """Leave `places` out of every page of HTML."""
        self.app, self.places = app, [place.encode() for place in places]

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        start: dict[str, Any] = {}
        body = b""

        async def sending(message: dict[str, Any]) -> None:
            nonlocal start, body
            kind = dict(message.get("headers", [])).get(b"content-type", b"")
            if message["type"] == "http.response.start" and kind.startswith(b"text/html"):
                start = message
            elif message["type"] == "http.response.body" and start:
                body += message.get("body", b"")
                if not message.get("more_body"):
                    for place in self.places:
                        body = body.replace(place, b"")
                    headers = [pair for pair in start["headers"] if pair[0] != b"content-length"]
                    await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
                    await send({**message, "body": body})
            else:
                await send(message)

        await self.app(scope, receive, sending)


def cookie_of(header: str, name: str) -> str:
    """Return the token of a cookie header, or nothing."""
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


async def refuse(scope: dict[str, Any], send: Send, status: int, text: str) -> None:
    """Answer with a line of text, or do not open a connection."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": text})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})


def serve_guarded(app: Any, port: int, command: str) -> None:
    """Serve a page to who has its address, which is printed, until somebody ends it. InputError if a port is in use.

    Port 0 is any that is free.
    """
    token = secrets.token_urlsafe(24)
    guarded = Guard(app, token, {"127.0.0.1", "localhost"}, command)
    serve(guarded, "127.0.0.1", port, f"Open http://127.0.0.1:{{port}}/?token={token}\nCtrl-C ends it.")


def serve_openly(app: Any, host: str, port: int) -> None:
    """Serve a page to everybody, until somebody ends it. InputError if a port is in use."""
    serve(Open(app), host, port, f"Open http://{host}:{{port}}/\nEverybody who reaches this address may ask.")


def serve(app: Any, host: str, port: int, greeting: str) -> None:
    """Serve an application until somebody ends it. `greeting` is printed with the port that it got."""
    import uvicorn

    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            raise InputError(f"port {port}: {error.strerror}; name another one by --port") from None
        listening.listen()  # so nobody who reads the address is refused
        print(greeting.format(port=listening.getsockname()[1]), flush=True)  # noqa: T201
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))
        # A page that is still open keeps a connection. That it is cut off at the end is no error.
        logging.getLogger("uvicorn.error").addFilter(lambda _: not server.should_exit)
        server.run([listening])
