"""A hub on loopback, which speaks what huggingface_hub needs of the real one: repositories, LFS, commits, files."""

import base64
import contextlib
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

TOKEN = "hf_the_token_of_the_tests_on_loopback_only"
LARGE = 4096
"""Bytes from which a file goes by LFS."""


class Hub(ThreadingHTTPServer):
    """Repositories in memory: {name: {"private": bool, "files": {path: bytes}, "commits": int}}."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories, self.objects, self.puts, self.calls = {}, {}, [], []
        self.hold_after = None
        """After so many objects, every further one waits until it is None again."""
        self.held = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def environment(self, home):
        """The variables that lead huggingface_hub here. No Xet: its protocol is the real hub's alone."""
        return {"HF_ENDPOINT": self.url, "HF_TOKEN": TOKEN, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}


@contextlib.contextmanager
def hub_on_loopback():
    """Run a hub until the end of the block."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.hold_after = None
        hub.shutdown()
        hub.server_close()


def oid_of(content):
    """The name that git gives to a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=None, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(data), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def handle_request(self):
        path = unquote(self.path.partition("?")[0])
        self.server.calls.append(f"{self.command} {path}")
        body = self.body() if self.command in ("POST", "PUT") else b""
        if path.startswith("/lfs/"):
            return self.put(path.removeprefix("/lfs/"), body)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {"error": "Invalid username or password."})
        if path == "/api/repos/create":
            said = json.loads(body)
            name = f"{said['organization']}/{said['name']}"
            private = said.get("private", said.get("visibility") == "private")
            self.server.repositories[name] = {"private": private, "files": {}, "commits": 0}
            return self.answer(200, {"url": f"{self.server.url}/{name}"})
        if path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        known = re.fullmatch(r"(?:/api/models)?/(?P<name>[^/]+/[^/]+?)(?:\.git/info/lfs|/(?P<verb>\w+)(?P<rest>/.*)|)(/objects/batch)?", path)  # fmt: skip  # noqa: E501
        repository = self.server.repositories.get(known["name"]) if known else None
        if repository is None:
            return self.answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        if path.endswith("/objects/batch"):
            return self.batch(json.loads(body)["objects"])
        return getattr(self, known["verb"] or "info")(known["name"], repository, body, (known["rest"] or "")[1:])

    do_GET = do_POST = do_PUT = do_HEAD = handle_request  # noqa: N815  (the names that http.server calls)

    def info(self, name, repository, *_):
        sha = f"{repository['commits']:040x}"
        files = [{"rfilename": path} for path in repository["files"]]
        self.answer(200, {"id": name, "sha": sha, "private": repository["private"], "siblings": files})

    def revision(self, name, repository, *_):
        self.info(name, repository)

    def preupload(self, name, repository, body, _):
        self.answer(200, {"files": [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["size"] >= LARGE else "regular",
                "shouldIgnore": False,
                "oid": self.oid(repository["files"].get(file["path"])),
            }
            for file in json.loads(body)["files"]
        ]})  # fmt: skip

    def oid(self, content):
        """What the hub calls a file that is there: by git if it is small, else by SHA-256."""
        if content is None:
            return None
        return hashlib.sha256(content).hexdigest() if len(content) >= LARGE else oid_of(content)

    def batch(self, objects):
        found = [
            {"oid": one["oid"], "size": one["size"]}
            | ({} if one["oid"] in self.server.objects else {
                "actions": {"upload": {"href": f"{self.server.url}/lfs/{one['oid']}?signature=of-the-store"}}
            })
            for one in objects
        ]  # fmt: skip
        self.answer(200, {"transfer": "basic", "objects": found})

    def put(self, oid, content):
        hub = self.server
        while hub.hold_after is not None and len(hub.puts) >= hub.hold_after:
            hub.held.set()
            threading.Event().wait(0.05)
        if hashlib.sha256(content).hexdigest() != oid:
            return self.answer(400, {"error": "other bytes than promised"})
        hub.objects[oid] = content
        hub.puts.append(oid)
        return self.answer(200, {})

    def commit(self, name, repository, body, _):
        files = dict(repository["files"])
        for line in body.splitlines():
            said = json.loads(line)
            value = said["value"]
            if said["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif said["key"] == "lfsFile":
                files[value["path"]] = self.server.objects[value["oid"]]
            elif said["key"] == "deletedFile":
                del files[value["path"]]
        repository["files"] = {".gitattributes": b"* filter=lfs\n", **files}
        repository["commits"] += 1
        sha = f"{repository['commits']:040x}"
        self.answer(200, {"commitUrl": f"{self.server.url}/{name}/commit/{sha}", "commitOid": sha})

    def tree(self, name, repository, *_):
        entries = [
            {"type": "file", "path": path, "size": len(content), "oid": self.oid(content)}
            for path, content in repository["files"].items()
        ]
        self.answer(200, entries)

    def resolve(self, name, repository, _, rest):
        content = repository["files"].get(rest.partition("/")[2])
        if content is None:
            return self.answer(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound")
        sha = f"{repository['commits']:040x}"
        return self.answer(200, content, ETag=f'"{self.oid(content)}"', X_Repo_Commit=sha)
