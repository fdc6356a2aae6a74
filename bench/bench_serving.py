"""How fast a release is served, beside llama-server: `python bench/bench_serving.py results/release [--rival FILE]`.

Everything is measured over HTTP on loopback, on the same model, threads and prompts, by turns in one run. The rival is
llama-server, built by `python bench/llama_server.py` from the source archive that our llama.cpp is of. `--write` puts
the section of the release into docs/bench-serving.md.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]
from bench.sections import put_section  # noqa: E402
from bench.servers import CLIENTS, KEY, PROMPT, Prompts, Target, ended, free_port, ingot, rival  # noqa: E402

ANSWER = 64
"""Tokens of an answer."""
PATIENCE = 30.0
"""Seconds after which an answer is no longer waited for."""
PAGE = ROOT / "docs/bench-serving.md"
HEAD = """# Serving, measured

Written by `make bench-serving RELEASE=...`, a section for each release. Clients and servers share one machine and speak
HTTP on loopback. The servers have the same model file and as many threads, and run one after the other. S is the speed
of one stream. What is computed beside an answer changes last bits, so where two tokens are nearly as likely, it may
differ from the answer alone. If routes answer nearly alike, it may then be that of another route by chance.
"""
ALONE = " llama-server was not measured."


def percentile(values: list[float], share: float) -> float:
    """Return the value that this share does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def throughput(target: Target, prompts: Prompts, routes: list[str], clients: int) -> float:
    """Measure the tokens a second that so many clients get together; client i asks by route i."""
    for route in set(routes):
        await target.ask(route, prompts.draw(8), 2)
    start = time.perf_counter()
    done = await asyncio.gather(*(target.ask(routes[i % len(routes)], prompts.draw(8), ANSWER) for i in range(clients)))
    return sum(tokens for _, _, tokens in done) / (time.perf_counter() - start)


async def first_tokens(target: Target, prompts: Prompts) -> dict[str, float]:
    """Measure the time to the first token: of one client, of eight at a time (p95), in seconds."""
    alone = [(await target.ask("base", prompts.draw(), 2))[0] for _ in range(12)]
    together: list[float] = []
    for _ in range(5):
        together += [
            first
            for first, _, _ in await asyncio.gather(*(target.ask("base", prompts.draw(), 2) for _ in range(CLIENTS)))
        ]
    return {"alone": statistics.median(alone), "together": percentile(together, 0.95)}


async def change_of_route(target: Target, prompts: Prompts) -> dict[str, list[float]]:
    """Measure the time to the next token, by turns on the same route and on another one, in seconds."""
    found: dict[str, list[float]] = {"same": [], "other": []}
    for route in target.routes:
        await target.ask(route, prompts.draw(8), 2)
    for i in range(100):
        for kind, routes in (
            ("same", ["base", "base"]),
            ("other", [target.routes[1 + i % (len(target.routes) - 1)], "base"]),
        ):
            await target.ask(routes[0], prompts.draw(16), 2)
            found[kind].append((await target.ask(routes[1], prompts.draw(16), 2))[0])
    return found


async def beside_a_saturated_route(target: Target, prompts: Prompts) -> dict[str, float]:
    """Measure p95 of the time to the first token of one client, idle and while seven others saturate another route.

    A server may let that client wait until the others are done, which they never are. It is asked no longer then.
    """
    quiet, busy = target.routes[1], "base"
    idle = [(await target.ask(quiet, prompts.draw(), 2))[0] for _ in range(20)]
    stop = False

    async def saturate() -> None:
        while not stop:
            await target.ask(busy, prompts.draw(), ANSWER)

    others = [asyncio.create_task(saturate()) for _ in range(7)]
    await asyncio.sleep(1)
    beside: list[float] = []
    try:
        while len(beside) < 20:
            beside.append((await asyncio.wait_for(target.ask(quiet, prompts.draw(), 2), PATIENCE))[0])
    except TimeoutError:
        beside = [PATIENCE]
    stop = True
    await asyncio.gather(*others)
    return {"idle": percentile(idle, 0.95), "beside": percentile(beside, 0.95)}


async def measure(target: Target, prompts: Prompts, repeats: int) -> dict[str, Any]:
    """Take all figures of one server."""
    lines: dict[str, list[float]] = {"one": [], "one_route": [], "all_routes": []}
    for _ in range(repeats):
        lines["one"].append(await throughput(target, prompts, ["base"], 1))
        lines["one_route"].append(await throughput(target, prompts, ["base"], CLIENTS))
        lines["all_routes"].append(await throughput(target, prompts, target.routes, CLIENTS))
    changes = await change_of_route(target, prompts)
    return {
        **{key: statistics.median(values) for key, values in lines.items()},
        "first": await first_tokens(target, prompts),
        "change_ms": 1000 * (percentile(changes["other"], 0.95) - percentile(changes["same"], 0.95)),
        "change_median_ms": 1000 * (statistics.median(changes["other"]) - statistics.median(changes["same"])),
        "fair": await beside_a_saturated_route(target, prompts),
    }


def one_context(model: Path, modifiers: dict[str, Path], threads: int) -> dict[str, float]:
    """Measure the other way: one context whose adapters change, and contexts that keep theirs, to the next token."""
    import llama_cpp

    from ingot.inference.context import Context

    llama = llama_cpp.Llama(str(model), n_ctx=8, verbose=False)
    adapters = [[]] + [
        [llama_cpp.llama_adapter_lora_init(llama.model, str(path).encode())] for path in modifiers.values()
    ]
    contexts = [Context(llama.model, 512, CLIENTS, threads) for _ in adapters]
    for context, own in zip(contexts, adapters, strict=True):
        context.use(own)

    def next_token(context: Context, position: int) -> float:
        start = time.perf_counter()
        context.add(5, position, 0, True)
        context.run(1).argmax()
        return time.perf_counter() - start

    alone = Context(llama.model, 512, CLIENTS, threads)
    figures: dict[str, list[float]] = {"lanes": [], "one context": []}
    for i in range(200):
        route = i % len(adapters)
        figures["lanes"].append(next_token(contexts[route], i // len(adapters)))
        start = time.perf_counter()
        alone.use(adapters[route])
        figures["one context"].append(time.perf_counter() - start + next_token(alone, 0))
    return {name: 1000 * statistics.median(values[20:]) for name, values in figures.items()}


def decisions(release: Any, count: int = 2000) -> dict[str, float]:
    """Measure router and detector, in milliseconds a message."""
    from ingot.serving.routes import Routes
    from ingot.world.dissatisfaction import messages

    routes = Routes(release.router, release.detector, release.worth)
    found = []
    for text, _ in messages(0, count, "families"):
        start = time.perf_counter()
        routes.complains(text)
        routes.chances(text)
        found.append(1000 * (time.perf_counter() - start))
    return {"median": statistics.median(found), "p99": percentile(found, 0.99)}


class AtOnce:
    """An engine that answers at once, so that only the gateway is measured."""

    routes, length = ("base",), 4096

    async def generate(self, route: str, tokens: list[int], parameters: Any) -> AsyncGenerator[Any, None]:
        """Answer with one token."""
        from ingot.serving.protocol import Begun, Ended, Token

        yield Begun(0)
        yield Token(tokens[0])
        yield Ended("stop")

    def figures(self) -> dict[str, Any]:
        """Tell nothing."""
        return {"open": 0}

    async def close(self) -> None:
        """Do nothing."""


async def gateway(release: Any, count: int = 1000) -> dict[str, float]:
    """Measure a whole request over HTTP whose answer is there at once, in milliseconds: one client, one connection."""
    import uvicorn

    from ingot.serving.api import api
    from ingot.serving.gate import Gate
    from ingot.serving.keys import KeyFile, Keys
    from ingot.serving.metrics import Metrics
    from ingot.serving.routes import Routes
    from ingot.serving.service import Loaded, Service, Settings
    from ingot.serving.texts import Texts

    metrics = Metrics()
    loaded = Loaded(
        release, AtOnce(), Texts(release.tokenizer), Routes(release.router, release.detector, release.worth)
    )
    service = Service(loaded, Settings())
    gate = Gate(api(service, metrics), Keys(KeyFile(), KEY), metrics, largest=1 << 20, patience=30, slow_reader=60)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(gate, port=port, log_config=None, access_log=False))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"model": "base", "messages": [{"role": "user", "content": "What is 3 + 4? " * 20}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    found = []
    for _ in range(count):
        start = time.perf_counter()
        writer.write(head.encode() + body)
        length = 0
        while (line := await reader.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        await reader.readexactly(length)
        found.append(1000 * (time.perf_counter() - start))
    writer.close()
    server.should_exit = True
    await running
    return {"median": statistics.median(found), "p95": percentile(found[50:], 0.95)}


async def cold_start(release: Path, home: str, threads: int) -> dict[str, float]:
    """Measure a start until it listens, by the server's own log, and the imports before that, in seconds."""
    command: list[str | Path] = [sys.executable, "-P", "-m", "ingot.tools.serve", release, "--port", "0"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "INGOT_HOME": home, "INGOT_API_KEY": KEY}
    start = time.perf_counter()
    options = ["--threads", str(threads)]
    process = subprocess.Popen([*command, *options], env=variables, stderr=subprocess.PIPE, text=True)
    with ended(process):
        assert process.stderr
        ready = next(json.loads(line) for line in process.stderr if '"ready"' in line)
        whole = time.perf_counter() - start
    return {"start": ready["seconds"], "imports": whole - ready["seconds"]}


async def mixed(target: Target, prompts: Prompts, requests: int) -> dict[str, int]:
    """Ask by all routes at once, and compare each answer with that of the route alone: how many are different."""
    import urllib.request

    def text(route: str, prompt: list[int]) -> str:
        body = {"model": route, "prompt": prompt, "max_tokens": 16, "logprobs": 0}
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        url = f"http://127.0.0.1:{target.port}/v1/completions"
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as response:
            return str(json.loads(response.read())["choices"][0]["text"])

    drawn = [prompts.draw(24) for _ in range(20)]
    alone = {(route, i): text(route, prompt) for route in target.routes for i, prompt in enumerate(drawn)}
    asked = [(prompts.random.choice(target.routes), prompts.random.randrange(len(drawn))) for _ in range(requests)]
    eight = asyncio.Semaphore(CLIENTS)

    async def one(route: str, i: int) -> str:
        async with eight:
            return await asyncio.to_thread(text, route, drawn[i])

    answers = await asyncio.gather(*(one(*request) for request in asked))
    wrong = [(request, answer) for request, answer in zip(asked, answers, strict=True) if answer != alone[request]]
    by_another = [
        request
        for request, answer in wrong
        if any(answer == alone[route, request[1]] != alone[request] for route in target.routes)
    ]
    return {"requests": requests, "different": len(wrong), "of_another_route": len(by_another)}


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Take all figures."""
    from ingot.serving.release_store import open_release

    with tempfile.TemporaryDirectory() as home:
        release = open_release(options.release, Path(home) / "store")
        routes = ["base", *release.modifiers]
        prompts = Prompts(release.tokenizer)
        figures: dict[str, Any] = {"release": release.name, "routes": len(routes), "threads": options.threads}
        figures["cold"] = await cold_start(options.release, home, options.threads)
        figures["decisions"] = decisions(release)
        figures["gateway"] = await gateway(release)
        figures["next_token"] = one_context(release.model, release.modifiers, options.threads)
        async with ingot(options.release, home, routes, options.threads) as target:
            figures["mixed"] = await mixed(target, prompts, options.requests)
        async with ingot(options.release, home, routes, options.threads) as target:
            figures["ingot"] = await measure(target, prompts, options.repeats)
        if options.rival:
            async with rival(options.rival, release.model, release.modifiers, options.threads) as target:
                figures["llama-server"] = await measure(target, prompts, options.repeats)
    return figures


def section(figures: dict[str, Any]) -> str:
    """Write the figures as a section of the page."""
    ours, theirs = figures["ingot"], figures.get("llama-server")
    one, routes = ours["one"], figures["routes"]

    def both(read: Any, unit: str) -> str:
        return f"{read(ours):.1f} {unit} | " + (f"{read(theirs):.1f} {unit}" if theirs else "-")

    def speed(key: str) -> str:
        ratio = f"{ours[key] / theirs[key]:.2f} x llama-server, " if theirs else ""
        return f"{both(lambda figures: figures[key], 'tokens/s')} | {ratio}{ours[key] / one:.2f} S |"

    first, change = (lambda f: 1000 * f["first"]["together"]), (lambda f: f["change_ms"])

    def waits(found: dict[str, Any]) -> str:
        seconds = found["fair"]["beside"]
        return f"{1000 * seconds:.1f} ms" if seconds < PATIENCE else f"no answer within {PATIENCE:.0f} s"

    fair, waited = ours["fair"], f"{waits(ours)} | {waits(theirs) if theirs else '-'}"
    rows = [
        f"| one stream, S | {speed('one')}",
        f"| {CLIENTS} clients on one route | {speed('one_route')}",
        f"| {CLIENTS} clients on {routes} routes | {speed('all_routes')}",
        f"| p95 to the first token, {CLIENTS} clients, prompts of {PROMPT} tokens | {both(first, 'ms')} |"
        f" {ours['first']['together'] / (CLIENTS * ours['first']['alone']):.2f} x eight single prefills |",
        f"| change of route, to the next token, over same route: p95 | {both(change, 'ms')} | |",
        f"| one client beside a saturated route, p95 to the first token | {waited} |"
        f" {fair['beside'] / fair['idle']:.2f} x idle |",
    ]
    cold, mixed_up = figures["cold"], figures["mixed"]
    return "\n".join(
        [
            f"## {figures['release']}",
            "",
            f"{date.today()}, {figures['threads']} threads of {processor()}.{'' if theirs else ALONE}",
            "",
            "| what | Ingot | llama-server | |",
            "|---|---:|---:|---|",
            *rows,
            "",
            "| of Ingot alone | |",
            "|---|---:|",
            f"| router and detector, p99 | {figures['decisions']['p99']:.2f} ms |",
            f"| gateway: a request whose answer is there at once, p95 | {figures['gateway']['p95']:.2f} ms |",
            f"| start until it listens, imports left out | {cold['start']:.2f} s |",
            f"| imports | {cold['imports']:.2f} s |",
            f"| of {mixed_up['requests']:,} answers, {CLIENTS} at once, by all routes: other than the route's alone |"
            f" {mixed_up['different']} |",
            f"| of them, answers of another route | {mixed_up['of_another_route']} |",
            f"| next token after a change of route: lanes | {figures['next_token']['lanes']:.2f} ms |",
            f"| next token after a change of route: one context, adapters changed |"
            f" {figures['next_token']['one context']:.2f} ms |",
            "",
        ]
    )


def processor() -> str:
    """Name the processor."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    """Measure what the command line names, and print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", type=Path)
    parser.add_argument("--rival", type=Path, help="a llama-server")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="write docs/bench-serving.md")
    options = parser.parse_args()
    figures = asyncio.run(run(options))
    print(json.dumps(figures, indent=2))
    print(section(figures))
    if options.write:
        put_section(PAGE, HEAD, section(figures))


if __name__ == "__main__":
    main()
