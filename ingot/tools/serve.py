"""Serve a release: `ingot serve RELEASE [--port 8080]`. OpenAI's clients can talk to it.

It listens on this machine only, unless told otherwise, and asks everybody for a key: that of INGOT_API_KEY, or one that
is made at the first start and shown once. SIGHUP loads the release again; answers under way go on.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.inference.light_imports import import_tokenizers_only
from ingot.serving.gate import Gate
from ingot.serving.keys import VARIABLE, KeyFile, Keys, own_key, read_keys
from ingot.serving.metrics import Metrics
from ingot.serving.protocol import Engine
from ingot.serving.release_store import Release, home, open_release
from ingot.serving.service import Loaded, Service, Settings

LOG = logging.getLogger("ingot.serving")
SPINS = "2000"
"""How often a thread of llama.cpp looks before it sleeps, while it waits for the others at every operation.

libgomp's own 300,000 let a token take a hundred times as long where other work has the cores (docs/decisions.md).
"""
UPSTREAM_VARIABLE = "INGOT_UPSTREAM_KEY"


class JsonLines(logging.Formatter):
    """Writes a line of JSON per event."""

    def format(self, record: logging.LogRecord) -> str:
        """Write an event."""
        fields = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=True)


def count(text: str) -> int:
    """Read a number of something that there must be at least one of."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    whole = argparse.ArgumentParser(prog="ingot serve", description=__doc__.splitlines()[0])
    whole.add_argument("release", type=Path, help="the folder of a release")
    whole.add_argument("--host", default="127.0.0.1", help="address to listen on; this machine only if left out")
    whole.add_argument("--port", type=int, default=8080, help="port to listen on; 8080 if left out, 0: any free one")
    whole.add_argument("--keys", type=Path, help="file of keys and tiers; INGOT_HOME/keys.yaml if left out")
    whole.add_argument("--parallel", type=count, default=8, help="answers that a route writes at a time; 8")
    whole.add_argument("--context", type=count, help="tokens of a prompt and its answer; that of the build if left out")
    whole.add_argument("--memory", type=count, help="MiB that the routes may take; half of what is free if left out")
    whole.add_argument("--waiting", type=count, default=256, help="requests that may be open at a time; 256")
    whole.add_argument("--threads", type=count, default=len(os.sched_getaffinity(0)), help="threads; all cores")
    whole.add_argument("--seconds", type=float, default=600, help="an answer must be whole after so long; 600")
    whole.add_argument("--most-tokens", type=count, default=4096, help="no answer has more tokens; 4096")
    whole.add_argument("--largest", type=count, default=1 << 20, help="bytes of the largest request; 1 MiB")
    whole.add_argument("--upstream", help="address of a llama-server that computes instead of this process")
    whole.add_argument("--drain", type=int, default=30, help="seconds that answers get to end when the server ends; 30")
    whole.add_argument(
        "--confidence", type=float, help="`auto` asks the base first, and a modifier if it was less sure than this"
    )
    return whole


def free_memory() -> int:
    """Return how many bytes of memory are free on this machine."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) * 1024


def load(options: argparse.Namespace) -> Loaded:
    """Open the release that the command line names. InputError if it cannot be served."""
    from ingot.serving.routes import Routes
    from ingot.serving.texts import Texts

    release = open_release(options.release, home() / "store")
    texts = Texts(release.tokenizer)
    routes = Routes(release.router, release.detector, release.worth)
    return Loaded(release, engine_of(release, options), texts, routes)


def engine_of(release: Release, options: argparse.Namespace) -> Engine:
    """Open what computes the answers."""
    length = options.context or release.length
    if options.upstream:
        from ingot.serving.upstream import LlamaServer

        key = os.environ.get(UPSTREAM_VARIABLE)
        return LlamaServer(options.upstream, list(release.modifiers), length, key, options.waiting)
    from ingot.serving.lanes import Lanes

    return Lanes(
        release.model,
        release.modifiers,
        length=length,
        parallel=options.parallel,
        threads=options.threads,
        memory=options.memory << 20 if options.memory else free_memory() // 2,
        most_waiting=options.waiting,
    )


def keys_of(options: argparse.Namespace) -> Keys:
    """Read the keys. InputError if there is none for an address that others reach."""
    path = options.keys or home() / "keys.yaml"
    if options.keys and not path.exists():
        raise InputError(f"{path}: there is no such file of keys; make it with `ingot key`")
    key, shown = (os.environ.get(VARIABLE, "").strip() or None, None) if options.keys else own_key(path)
    if shown:
        sys.stderr.write(f"Your key, shown only now: {shown}\n(its digest is in {path})\n")
    keys = Keys(read_keys(path) if path.exists() else KeyFile(), key)
    if not keys.clients:
        raise InputError(f"{path}: there is no key in it; set {VARIABLE}, or make one with `ingot key`")
    return keys


def listen(host: str, port: int) -> socket.socket:
    """Take an address. InputError if somebody else has it."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or error
        raise InputError(f"{host}:{port}: {said}; choose another with --port or --host") from None


class Reloader:
    """Puts the release that is in its folder now in the place of the one in memory. Answers under way go on."""

    def __init__(self, options: argparse.Namespace, service: Service, gate: Gate) -> None:
        self.options, self.service, self.gate = options, service, gate
        self.one_at_a_time = asyncio.Lock()
        self.tasks: set[asyncio.Task[None]] = set()

    def ask(self) -> None:
        """Begin, and return at once."""
        self.keep(asyncio.ensure_future(self.reload()))

    def keep(self, task: asyncio.Task[None]) -> None:
        """Keep a task until it has ended."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def reload(self) -> None:
        """Load keys and release. If that fails, all stays as it was."""
        async with self.one_at_a_time:
            try:
                keys = keys_of(self.options)
                new = await asyncio.to_thread(load, self.options)
            except InputError as error:
                LOG.error("the release was not loaded again: %s", error)
                return
            except Exception:
                LOG.exception("the release was not loaded again")
                return
            if self.gate.keys:
                keys.take_over(self.gate.keys)
            old, self.service.loaded, self.gate.keys = self.service.loaded, new, keys
            self.gate.metrics.reloads.inc()
            LOG.info("loaded", extra={"fields": {"release": new.release.name, "version": new.release.version}})
            self.keep(asyncio.create_task(self.close_later(old)))

    async def close_later(self, old: Loaded) -> None:
        """Free a release once its last answer has ended, and nothing has begun for a second."""
        idle = 0
        while idle < 10:  # a request that is prepared takes a moment to begin
            idle = 0 if old.preparing or old.engine.figures()["open"] else idle + 1
            await asyncio.sleep(0.1)
        await old.engine.close()


async def serve(options: argparse.Namespace) -> None:
    """Serve until the process is told to end."""
    import_tokenizers_only()  # takes most of the imports' time

    from ingot.serving.api import api
    from ingot.serving.connections import Server
    from ingot.serving.lanes import resident

    start = time.perf_counter()
    keys = keys_of(options)
    taken = listen(options.host, options.port)
    settings = Settings(options.seconds, options.most_tokens, options.confidence)
    service = Service(await asyncio.to_thread(load, options), settings)
    metrics = Metrics()
    metrics.watch(lambda: {**service.loaded.engine.figures(), "resident_bytes": resident()})
    gate = Gate(api(service, metrics), keys, metrics, largest=options.largest, patience=30, slow_reader=60)
    server = Server(gate, options.drain)

    def ask_to_end() -> None:
        gate.draining = True
        server.should_exit = True

    loop, reloader = asyncio.get_running_loop(), Reloader(options, service, gate)
    loop.add_signal_handler(signal.SIGHUP, reloader.ask)
    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, ask_to_end)
    seconds = round(time.perf_counter() - start, 3)  # without the imports
    LOG.info("ready", extra={"fields": {**facts_of(service, taken), "seconds": seconds}})
    await server.serve(sockets=[taken])
    await service.loaded.engine.close()


def facts_of(service: Service, taken: socket.socket) -> dict[str, Any]:
    """Say what is served, and where."""
    host, port = taken.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
    return {"address": address, "models": service.loaded.models, "version": service.loaded.release.version}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve what the command line names."""
    options = parser().parse_args(arguments)
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # before libgomp is loaded, which reads it once
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to load again
    try:
        asyncio.run(serve(options))
    except InputError as error:
        sys.stderr.write(f"ingot: serve: {error}\n")
        return 1
    except OSError as error:  # such as a full disk, or a home that cannot be written to
        sys.stderr.write(f"ingot: serve: {error.filename or home()}: {error.strerror or error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
