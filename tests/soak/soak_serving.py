"""Ask a server for half an hour as the world does, and see that nothing leaks: `make soak-serving`.

Eight clients ask by all routes. A fifth of them leaves in the middle, and a tenth of the requests is wrong. Memory and
open files are looked at all the time. It writes docs/soak-serving.md.
"""

import argparse
import json
import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import date
from pathlib import Path

from helpers.servers import KEY, serving
from helpers.workspaces import ROOT

PROMPTS = ("Sort: 3 1 2", "What is 1 + 2? Ann asks.", "lambda function sort python", "why because therefore", "x " * 60)
WRONG = (
    b"{",
    b"\xff\xfe",
    b'{"model": "nobody", "messages": [{"role": "user", "content": "x"}]}',
    b'{"model": "base", "messages": []}',
    b'{"model": "base", "messages": [{"role": "user", "content": "x"}], "top_k": 1}',
    b"[" * 10_000,
)
CLIENTS, LEAVE, INVALID = 8, 0.2, 0.1


class Client(threading.Thread):
    """Asks until it is told to stop."""

    def __init__(self, server, routes, seed, counts, stop):
        super().__init__()
        self.server, self.routes, self.random = server, routes, random.Random(seed)
        self.counts, self.stop = counts, stop

    def run(self):
        while not self.stop.is_set():
            try:
                self.ask()
            except OSError as error:
                self.counts[f"refused: {type(error).__name__}"] += 1

    def ask(self):
        if self.random.random() < INVALID:
            self.counts[self.send(self.random.choice(WRONG), leaves=False)] += 1
            return
        body = {
            "model": self.random.choice(self.routes),
            "messages": [{"role": "user", "content": self.random.choice(PROMPTS)}],
            "max_tokens": self.random.randrange(1, 60),
            "stream": self.random.random() < 0.5,
            "temperature": self.random.choice((0, 1)),
            "n": self.random.choice((1, 1, 1, 2)),
        }
        leaves = self.random.random() < LEAVE
        self.counts["left" if leaves else self.send(json.dumps(body).encode(), leaves=False)] += 1
        if leaves:
            self.send(json.dumps(body).encode(), leaves=True)

    def send(self, body, leaves):
        """Send a request by hand; return its status."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=120) as connection:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            connection.sendall(head.encode() + body)
            if leaves:
                time.sleep(self.random.random() * 0.3)
                return "left"
            received = b""
            while part := connection.recv(1 << 16):
                received += part
        return received[9:12].decode() or "no answer"


def state(process):
    """Return (bytes in memory, open files) of a process."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * 4096, len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


def soak(release, minutes, seed):
    """Ask for so many minutes; return the counts of statuses and [(second, bytes, files)]."""
    counts, stop, seen = Counter(), threading.Event(), []
    with tempfile.TemporaryDirectory() as home, serving(release, home, "--parallel", "4") as server:
        routes = [model["id"] for model in server.call("/v1/models")[2]["data"]]
        clients = [Client(server, routes, seed + i, counts, stop) for i in range(CLIENTS)]
        for client in clients:
            client.start()
        start = time.monotonic()
        while time.monotonic() - start < 60 * minutes:
            time.sleep(min(10, 6 * minutes))
            seen.append((time.monotonic() - start, *state(server.process)))
        stop.set()
        for client in clients:
            client.join()
        server.wait_until_idle()
        assert server.chat("base", "x")[0] == 200
        traces = [line for line in server.lines if "Traceback" in json.dumps(line)]
    return counts, seen, traces


def page(counts, seen, traces, minutes, seed):
    """Write what came of it."""
    tenth = max(1, len(seen) // 10)
    early, late = seen[tenth : 2 * tenth], seen[-tenth:]
    mean = lambda rows, i: sum(row[i] for row in rows) / max(1, len(rows))  # noqa: E731
    bad = sum(count for status, count in counts.items() if status.startswith(("5", "refused", "no answer")))
    asked, wrong = sum(counts.values()), sum(count for status, count in counts.items() if status[:1] == "4")
    rows = [f"| {status} | {count:,} |" for status, count in sorted(counts.items())]
    return "\n".join(
        [
            "# Soak of the server",
            "",
            f"Written by `make soak-serving MINUTES={minutes:g}` on {date.today()} (seed {seed}): {CLIENTS} clients"
            f" asked {asked:,} times by all routes. They left {counts['left'] / asked:.0%} of the answers in the"
            f" middle; {wrong / asked:.0%} of the requests were wrong.",
            "",
            f"Unexpected errors (5xx, or no answer): **{bad}**. Tracebacks in the log: **{len(traces)}**.",
            "",
            f"Memory: {mean(early, 1) / 2**20:.1f} MiB after a tenth of the time, {mean(late, 1) / 2**20:.1f} MiB at"
            f" the end. Open files: {mean(early, 2):.0f}, then {mean(late, 2):.0f}.",
            "",
            "| status | times |",
            "|---|---:|",
            *rows,
            "",
        ]
    ), bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", type=Path, default=ROOT / "docs/soak-serving.md")
    options = parser.parse_args()
    text, bad = page(*soak(options.release, options.minutes, options.seed), options.minutes, options.seed)
    print(text)
    options.page.write_text(text)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
