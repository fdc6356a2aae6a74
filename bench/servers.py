"""The two servers that are measured beside each other, and prompts for them."""

import asyncio
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEY = "bench"
CLIENTS = 8
PROMPT = 128
"""Tokens of a prompt."""


class Target:
    """A server under test: how to ask it for an answer by a route."""

    def __init__(self, name: str, port: int, routes: list[str], process: subprocess.Popen[Any]) -> None:
        self.name, self.port, self.routes, self.process = name, port, routes, process

    def request(self, route: str, prompt: list[int], longest: int) -> tuple[str, dict[str, Any]]:
        """Write a request that streams: (path, body)."""
        if self.name == "ingot":
            asked = {"model": route, "prompt": prompt, "max_tokens": longest, "stream": True}
            return "/v1/completions", {**asked, "stream_options": {"include_usage": True}}
        scales = [{"id": i, "scale": float(name == route)} for i, name in enumerate(self.routes[1:])]
        asked = {"prompt": prompt, "n_predict": longest, "stream": True, "temperature": 0, "cache_prompt": False}
        return "/completion", {**asked, "lora": scales}

    async def ask(self, route: str, prompt: list[int], longest: int) -> tuple[float, float, int]:
        """Ask, and return (seconds to the first token, seconds to the end, tokens)."""
        path, body = self.request(route, prompt, longest)
        data = json.dumps(body).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        start, first, tokens = time.perf_counter(), 0.0, 0
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: {len(data)}\r\nconnection: close\r\n\r\n".encode() + data)
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError(f"{self.name}: {status!r} {(await reader.read())[-300:]!r}")
        while line := await reader.readline():
            if not line.startswith(b"data: {"):
                continue
            said = json.loads(line[6:])
            wrote = said.get("content") if self.name != "ingot" else "".join(c["text"] for c in said["choices"])
            if wrote and not first:
                first = time.perf_counter() - start
            tokens = (said.get("usage") or {}).get("completion_tokens") or said.get("tokens_predicted") or tokens
        writer.close()
        return first or time.perf_counter() - start, time.perf_counter() - start, tokens


def free_port() -> int:
    """Find a port that nobody uses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def healthy(port: int, process: subprocess.Popen[Any]) -> None:
    """Wait until a server answers."""
    for _ in range(1200):
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            status = await reader.readline()
            writer.close()
            if b" 200 " in status:
                return
        if process.poll() is not None:
            break
        await asyncio.sleep(0.05)
    raise SystemExit("a server did not start")


@contextlib.contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[None]:
    """End a process afterwards."""
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


@contextlib.asynccontextmanager
async def ingot(release: Path, home: str, routes: list[str], threads: int) -> AsyncGenerator[Target, None]:
    """Run our server."""
    port = free_port()
    command: list[str | Path] = [sys.executable, "-P", "-m", "ingot.tools.serve", release, "--port", str(port)]
    options = ["--parallel", str(CLIENTS), "--threads", str(threads), "--context", "512"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "INGOT_HOME": home, "INGOT_API_KEY": KEY}
    process = subprocess.Popen([*command, *options], env=variables, stderr=subprocess.DEVNULL)
    with ended(process):
        await healthy(port, process)
        yield Target("ingot", port, routes, process)


@contextlib.asynccontextmanager
async def rival(program: Path, model: Path, modifiers: dict[str, Path], threads: int) -> AsyncGenerator[Target, None]:
    """Run llama-server, with all modifiers loaded and off."""
    port = free_port()
    command: list[str | Path] = [program, "-m", model, "--port", str(port), "--host", "127.0.0.1", "--api-key", KEY]
    options = ["-np", str(CLIENTS), "-c", str(512 * CLIENTS), "-t", str(threads), "-tb", str(threads), "--no-webui"]
    options += ["--cache-ram", "0", "--lora-init-without-apply"]
    for path in modifiers.values():
        options += ["--lora", str(path)]
    process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with ended(process):
        await healthy(port, process)
        yield Target("llama-server", port, ["base", *modifiers], process)


class Prompts:
    """Draws prompts of random words, none twice, so that no cache helps."""

    def __init__(self, tokenizer: Path) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
        self.random = random.Random(0)
        words = "the a once upon time story of king who went to far city and said that many people live by sea with"
        self.words = words.split()

    def draw(self, length: int = PROMPT) -> list[int]:
        """Draw a prompt of so many tokens."""
        text = " ".join(self.random.choices(self.words, k=2 * length))
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids[:length])
