"""Connections that send too much, too slowly, or no HTTP, against a real server."""

import asyncio
import json
import socket
import threading
import time

import pytest

from ingot.serving import connections
from ingot.serving.connections import LARGEST_HEAD, Server

WHOLE = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


LARGE = 1 << 24


async def slow_app(scope, receive, send):
    """Answer after half a second; a large answer at once if asked for one."""
    if scope["path"] == "/large":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * LARGE})
        return
    await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def address(monkeypatch):
    monkeypatch.setattr(connections, "PATIENCE", 0.3)
    monkeypatch.setattr(connections, "SLOW_READER", 1.0)
    taken = socket.create_server(("127.0.0.1", 0))
    server = Server(slow_app, 1)
    server.config.lifespan = "off"
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[taken])))
    thread.start()
    yield taken.getsockname()
    server.should_exit = True
    thread.join()


def said(address, *parts, pause=0.0):
    """Send parts with pauses, and return (status, body) of what comes back until the connection is closed."""
    with socket.create_connection(address, timeout=10) as connection:
        for part in parts:
            try:
                connection.sendall(part)
            except OSError:
                break
            time.sleep(pause)
        got = b""
        try:
            while part := connection.recv(65536):
                got += part
        except ConnectionResetError:
            pass
    head, _, body = got.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else None, body


def test_who_takes_nothing_of_an_answer_is_cut_off_and_who_is_slow_is_not(address):
    ask = WHOLE.replace(b"/ ", b"/large ")
    for pause, whole in ((2.5, False), (0.3, True)):
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(ask)
            got = 0
            try:
                while got < LARGE:
                    time.sleep(pause if got < 4 * pause * 1e6 else 0)
                    part = connection.recv(1_000_000)
                    if not part:
                        break
                    got += len(part)
            except ConnectionResetError:
                pass
        assert (got >= LARGE) is whole


def test_headers_without_end_are_refused_before_they_fill_the_memory(address):
    begin = b"GET / HTTP/1.1\r\nx: "
    status, body = said(address, begin, *[b"a" * 4096] * (LARGEST_HEAD // 4096 + 1), pause=0.001)
    assert status == 431
    assert json.loads(body)["error"]["code"] == "headers_too_large"


def test_headers_that_do_not_come_are_not_waited_for(address):
    start = time.monotonic()
    assert said(address, b"GET / HTTP/1.1\r\nx: ")[0] == 408
    assert said(address) == (None, b"")
    assert time.monotonic() - start < 5


def test_a_drop_at_a_time_wins_no_time(address):
    start = time.monotonic()
    assert said(address, b"GET / HTTP/1.1\r\nx: ", *[b"a"] * 30, pause=0.1)[0] in (408, None)
    assert time.monotonic() - start < 8


def test_the_end_of_a_line_after_an_answer_holds_no_connection(address):
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(WHOLE)
        got = b""
        while not got.endswith(b"ok"):
            got += connection.recv(65536)
        connection.sendall(b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 408")
        assert connection.recv(65536) == b""


def test_what_is_not_http_is_refused_in_the_form_of_every_error(address):
    status, body = said(address, b"\x16\x03\x01 hello\r\n\r\n")
    assert status == 400
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


def test_an_answer_may_take_longer_than_headers_and_the_next_request_has_its_own_time(address):
    with socket.create_connection(address, timeout=10) as connection:
        for _ in range(2):
            connection.sendall(WHOLE)
            got = b""
            while not got.endswith(b"ok"):
                got += connection.recv(65536)
            assert got.startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET / HT")
        assert connection.recv(65536).startswith(b"HTTP/1.1 408")


def test_the_answer_before_a_request_that_does_not_come_is_given(address):
    status, body = said(address, WHOLE + b"GET / HT")
    assert (status, body[:2]) == (200, b"ok")
