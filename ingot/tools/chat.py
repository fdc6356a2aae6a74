"""Talk to a release in the browser: `ingot chat [RELEASE]`. The page is on this machine only.

It starts a server of the release, or asks one that runs (`--server`). Conversations and marks are plain files in the
folder `chats`, and stay when page, server or browser end.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingot.errors import InputError

RELEASE = Path("results/release")
KEY = "INGOT_API_KEY"
FOLDER = Path("chats")


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    whole = argparse.ArgumentParser(prog="ingot chat", description="Talk to a release in the browser.")
    whole.add_argument("release", metavar="RELEASE", nargs="?", type=Path, default=RELEASE, help=f"{RELEASE}")
    whole.add_argument(
        "--server", metavar="ADDRESS", help=f"a server that runs, such as http://127.0.0.1:8080/v1; its key is ${KEY}"
    )
    whole.add_argument("--port", type=int, default=0, help="port of the page; any free one if left out")
    whole.add_argument("--public", action="store_true", help="for everybody, and nothing is kept; as a Space shows it")
    whole.add_argument("--host", default="127.0.0.1", help="address to listen on, with --public")
    whole.add_argument("--folder", type=Path, default=FOLDER, help=f"where conversations are kept; {FOLDER}")
    return whole


@contextmanager
def server_of(release: Path) -> Iterator[tuple[str, str]]:
    """Run a server of a release; give its address and its key. InputError if it does not start."""
    key = secrets.token_urlsafe(24)
    command = [sys.executable, "-P", "-m", "ingot.cli", "serve", str(release), "--port", "0"]
    process = subprocess.Popen(command, env={**os.environ, KEY: key}, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        address, last = "", ""
        for line in process.stderr:
            try:
                said = json.loads(line)
            except ValueError:
                last = line.strip() or last
                continue
            if said.get("event") == "ready":
                address = said["address"]
                break
        if not address:
            raise InputError(f"the server of {release} did not start: {last}")
        threading.Thread(target=deque, args=(process.stderr, 0), daemon=True).start()  # else its logs fill the pipe
        yield address, key
    finally:
        process.terminate()
        process.wait()


def show(address: str, key: str, options: argparse.Namespace) -> None:
    """Show the page until somebody ends it."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr
    from fastapi import FastAPI

    from ingot.chatting.client import Client
    from ingot.chatting.conversations import Folder
    from ingot.chatting.page import THEME, blocks
    from ingot.chatting.public import blocks as public_blocks
    from ingot.pages.guard import serve_guarded, serve_openly

    client = Client(address, key)
    whole = public_blocks(client) if options.public else blocks(client, Folder(options.folder))
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gr.mount_gradio_app(app, whole, path="/", theme=THEME, footer_links=[], allowed_paths=[], max_file_size="16mb")
    if options.public:
        serve_openly(app, options.host, options.port)
    else:
        serve_guarded(app, options.port, "ingot chat")


def main(arguments: list[str] | None = None) -> None:
    """Show the page that the command line asks for."""
    options = parser().parse_args(arguments)
    if options.host != "127.0.0.1" and not options.public:
        raise SystemExit("ingot: chat: --host is for a page that is --public; without it, it is on this machine only")
    try:
        if options.server:
            show(options.server, os.environ.get(KEY, ""), options)
        else:
            with server_of(options.release) as (address, key):
                show(address, key, options)
    except (InputError, OSError) as error:
        raise SystemExit(f"ingot: chat: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(0) from None


if __name__ == "__main__":
    main()
