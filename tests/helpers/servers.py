"""A small release, and a real server of it on loopback."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEY = "a key of the tests"
WORDS = {"code": "lambda function sort python", "reasoning": "why because therefore proves"}
CONTEXT = 256


def make_release(folder, model, modifiers, checkpoint):
    """Put a release together by the parts of the step `release`."""
    from ingot.io.container import pack_file
    from ingot.io.records import write_json
    from ingot.settings.router import Router
    from workflow_scripts.release.release import describe, files_of_tokenizers, how_to_serve, put_tokenizer

    content = folder / "files"
    packed = {"packed/F16.gguf.zst": model} | {f"modifiers/{name}/lora.gguf.zst": p for name, p in modifiers.items()}
    for name, path in packed.items():
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        pack_file(path, content / name, 3, 1)
    (content / "router").mkdir()
    make_router(content / "router/model", content / "router/detector")
    for path in files_of_tokenizers([checkpoint]):
        put_tokenizer(path, content)
    costs = {"base": 1, "modifier": 1.2}
    router = Router(features=64, embedding=None, most=None, threshold=0.5, costs=costs, worth=10)
    names = [Path("results") / name for name in packed]
    folders = [Path("results/router/model"), Path("results/router/detector")]
    files = [path for path in sorted(content.rglob("*")) if path.is_file()]
    manifest = {
        "preset": "test",
        "base": {"kind": "pretrain", "licence": "Apache-2.0"},
        "sources": {},
        "served": "F16",
        "files": [describe(path, str(path.relative_to(folder))) for path in files],
        "serving": how_to_serve(names, folders, "F16", CONTEXT, router),
    }
    write_json(folder / "manifest.json", manifest)


def make_router(router, detector):
    """Train a router that tells two domains by their words, and a detector."""
    import random

    import numpy as np

    from ingot.routing import classifier
    from ingot.routing.features import Features
    from ingot.settings.router import Detector
    from workflow_scripts.router.train_detector import train_detector

    r = random.Random(0)
    classes = [r.choice([*WORDS, "base"]) for _ in range(300)]
    others = "name the capital of some country or city".split()
    texts = [" ".join(r.choices(WORDS.get(c, "").split() or others, k=4)) for c in classes]
    features = Features.learn(texts, classes, 64)
    x = features.matrix(texts)
    decisions = {
        name: classifier.train_decision(x, np.array([c == name for c in classes], dtype=int), 0) for name in WORDS
    }
    classifier.save(router, features, decisions, threshold=0.5)
    train_detector(detector, router.parent / "report.json", settings=Detector(examples=1500, features=512), seed=0)
    (router.parent / "report.json").unlink()


class Server:
    """A running server."""

    def __init__(self, process, lines):
        self.process, self.lines = process, lines
        self.url = next(line["address"] for line in lines if line["event"] == "ready")

    @property
    def port(self):
        return int(self.url.split(":")[2].split("/")[0])

    def call(self, path, body=None, key=KEY, raw=None, headers=None, timeout=60):
        """Send a request; return (status, headers, body). The body is JSON if it can be."""
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        given = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
        request = urllib.request.Request(self.url.removesuffix("/v1") + path, data, {**given, **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                status, got, text = response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            status, got, text = error.code, error.headers, error.read()
        try:
            return status, got, json.loads(text)
        except ValueError:
            return status, got, text.decode()

    def chat(self, model, *said, **more):
        """Ask for the next message of a conversation of user, assistant, user ..."""
        roles = ("user", "assistant")
        messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(said)]
        return self.call("/v1/chat/completions", {"model": model, "messages": messages, "max_tokens": 12, **more})

    def metric(self, name):
        """Sum a metric over its labels."""
        _, _, text = self.call("/metrics")
        rows = [line.rpartition(" ") for line in text.splitlines() if line.partition("{")[0].split(" ")[0] == name]
        return sum(float(value) for _, _, value in rows)

    def wait_until_idle(self):
        import time

        for _ in range(200):
            if self.metric("ingot_open_requests") <= 1:  # this one
                return
            time.sleep(0.05)
        raise AssertionError("requests stay open")


def status_of(url, **headers):
    """The HTTP status with which a page answers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def command(release, *arguments):
    return [sys.executable, "-P", "-m", "ingot.tools.serve", str(release), "--port", "0", "--threads", "1", *arguments]


def environment(home, **variables):
    return {**os.environ, "PYTHONPATH": str(ROOT), "INGOT_HOME": str(home), "INGOT_API_KEY": KEY, **variables}


@contextlib.contextmanager
def serving(release, home, *arguments, **variables):
    """Run a server as its own process; end it by SIGTERM, and see that it ends well."""
    process = subprocess.Popen(
        command(release, *arguments), env=environment(home, **variables), stderr=subprocess.PIPE, text=True
    )
    lines, ready = [], threading.Event()

    def read():
        for line in process.stderr:
            try:
                lines.append(json.loads(line))
            except ValueError:
                lines.append({"event": "text", "text": line})
            if lines[-1]["event"] == "ready":
                ready.set()
        ready.set()

    reader = threading.Thread(target=read)
    reader.start()
    ready.wait(120)
    try:
        assert process.poll() is None and any(line["event"] == "ready" for line in lines), lines
        yield Server(process, lines)
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(60)
        reader.join()
    assert status in (0, -signal.SIGTERM), lines[-5:]
