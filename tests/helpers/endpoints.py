"""Chat endpoints on loopback: a real one, and a proxy before it that fails in every way that real ones do."""

import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ingot.settings.judge import Judge

KEY = "test-key"


def judge_at(address, **changes):
    """The settings of a judge behind an endpoint."""
    judge = {
        "endpoint": address,
        "model": "tiny",
        "structured": "json_object",
        "key_variable": "JUDGE_KEY",
        "concurrency": 4,
        "retries": 4,
        "timeout": 60,
        "prices": {"input": 1.0, "output": 10.0},
        "budget": {"tokens": None, "cost": None},
    }
    return Judge.model_validate(judge | changes)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def llama_server(gguf, log):
    """Serve a model by llama-cpp-python's own server; yield its address."""
    port = free_port()
    command = [sys.executable, "-m", "llama_cpp.server", "--model", gguf, "--port", port, "--host", "127.0.0.1"]
    options = ["--api_key", KEY, "--n_ctx", 2048, "--n_threads", 1, "--model_alias", "tiny"]
    with open(log, "w") as file:
        server = subprocess.Popen([str(word) for word in [*command, *options]], stdout=file, stderr=file)
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None, log.read_text()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait()


class FaultyProxy:
    """Passes requests on, or does what `faults` says: the first of them to the first request, and so on."""

    def __init__(self, target, faults):
        self.target, self.faults = target, list(faults)
        self.requests, self.authorizations = [], set()
        self.lock = threading.Lock()

    def fault(self, body, authorization):
        with self.lock:
            self.requests.append(body)
            self.authorizations.add(authorization)
            return self.faults.pop(0) if self.faults else "pass"

    def answer(self, handler, body):
        authorization = handler.headers["Authorization"]
        fault = self.fault(body, authorization)
        if fault in ("429", "500"):
            handler.send_response(int(fault))
            handler.send_header("Retry-After", "0")
            handler.end_headers()
        elif fault == "cut":
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            handler.wfile.write(b'{"choices": [{"mess')
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
        elif fault == "garbage":
            self.send(handler, b"<html>bad gateway</html>", "text/html")
        elif fault == "half":
            self.send(handler, b'{"choices": []}', "application/json")
        elif fault in ("content_filter", "context_length_exceeded"):
            error = {"error": {"message": "no", "type": "invalid_request_error", "param": None, "code": fault}}
            self.send(handler, json.dumps(error).encode(), "application/json", 400)
        else:
            if fault == "slow":
                time.sleep(3)
            request = urllib.request.Request(
                self.target + handler.path.removeprefix("/v1"),
                body,
                {"Content-Type": "application/json", "Authorization": authorization},
            )
            with urllib.request.urlopen(request) as response:
                self.send(handler, response.read(), "application/json")

    def reply(self, handler, content, tokens_in, tokens_out):
        """Answer as a chat endpoint does."""
        usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        whole = {"id": "1", "object": "chat.completion", "created": 0, "model": "tiny", "usage": usage}
        self.send(handler, json.dumps(whole | {"choices": [choice]}).encode(), "application/json")

    def send(self, handler, data, kind, status=200):
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    @contextmanager
    def running(self):
        """Yield the address of the proxy."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with suppress(OSError):  # the client did not wait
                    proxy.answer(self, body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            server.server_close()


def sent(requests):
    """The requests that a proxy got, as values."""
    return [json.loads(body) for body in requests]
