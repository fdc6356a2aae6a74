"""Against a server on loopback that answers as the hub does: a redirect-free file at a commit."""

import hashlib
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ingot.errors import InputError
from ingot.settings.data import HubFile
from workflow_scripts.data.fetch_source import fetch_source

REVISION = "0123456789" * 4
DATA = b'{"question": "Q", "answer": "A"}\n' * 1000


class Hub(BaseHTTPRequestHandler):
    """One file of one data set."""

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, with_body):
        is_there = self.path == f"/datasets/team/data/resolve/{REVISION}/part/train.jsonl"
        self.send_response(200 if is_there else 404)
        if is_there:
            self.send_header("ETag", f'"{hashlib.sha256(DATA).hexdigest()}"')
            self.send_header("X-Repo-Commit", REVISION)
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", str(len(DATA) if is_there else 0))
        self.end_headers()
        if is_there and with_body:
            self.wfile.write(DATA)

    def log_message(self, *_):
        pass


@contextmanager
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def endpoint(monkeypatch, tmp_path):
    import huggingface_hub.constants as constants

    with hub() as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield address


def test_a_file_at_a_commit_is_fetched_whole(endpoint, tmp_path):
    fetch_source(tmp_path / "train.jsonl", hub=HubFile(id="team/data", revision=REVISION, file="part/train.jsonl"))
    assert (tmp_path / "train.jsonl").read_bytes() == DATA


def test_a_file_that_is_not_there_is_named(endpoint, tmp_path):
    with pytest.raises(InputError, match=r"team/data at 012345678901: part/other.jsonl cannot be had"):
        fetch_source(tmp_path / "x", hub=HubFile(id="team/data", revision=REVISION, file="part/other.jsonl"))
