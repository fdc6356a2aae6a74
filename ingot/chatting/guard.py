"""Who may open a page on this machine: whoever has the address with its token, from this machine's own names alone."""

import secrets
from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

COOKIE = "ingot-page"
# Nothing is loaded from elsewhere, whatever a model writes. The scripts of the page itself need the rest.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'; form-action 'self';"
    " base-uri 'self'"
)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Guard:
    """An ASGI application around another one."""

    def __init__(self, app: Any, token: str, names: set[str]) -> None:
        """Guard `app`. `names` are the hosts that a browser may call it by."""
        self.app, self.token, self.names = app, token, names

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        origin = headers.get("origin")
        if host not in self.names or (origin and urlsplit(origin).netloc != headers.get("host")):
            await refuse(send, 403, "This page is only for its own address.")
        elif self.knows(cookie_of(headers.get("cookie", ""))):
            await self.app(scope, receive, self.with_policy(send))
        elif self.knows(parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]):
            await self.let_in(send)
        else:
            await refuse(send, 403, "Open the address that `ingot chat` has printed: it has a token in it.")

    def knows(self, given: str) -> bool:
        """Tell whether a token is the right one."""
        return secrets.compare_digest(given.encode(), self.token.encode())

    async def let_in(self, send: Send) -> None:
        """Give a browser the token as a cookie, and an address without it."""
        cookie = f"{COOKIE}={self.token}; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def with_policy(self, send: Send) -> Send:
        """Add to every answer that nothing is to be loaded from elsewhere."""

        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]
                message = {**message, "headers": [*message.get("headers", []), *own]}
            await send(message)

        return sending


def cookie_of(header: str) -> str:
    """Return the token of a cookie header, or nothing."""
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


async def refuse(send: Send, status: int, text: str) -> None:
    """Answer with a line of text."""
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})
