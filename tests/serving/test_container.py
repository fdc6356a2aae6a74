"""What a container is made from: its Dockerfile is followed here line by line, but for the packages of the system."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from helpers import figures as made_up
from helpers.browser import in_browser
from helpers.workspaces import ENVIRONMENT, ROOT
from ingot.io.records import write_json

pytestmark = pytest.mark.graph

KEY = "a key of the tests"
EVIL = "<img src=//x.org/x onerror=alert(1)> lambda sort"


@pytest.fixture(scope="module")
def release(served_release, tmp_path_factory):
    """A release that can be served, with the figures and the card of a whole build."""
    folder = tmp_path_factory.mktemp("release") / "release"
    shutil.copytree(served_release, folder)
    whole = made_up.figures()
    whole["manifest"] |= json.loads((folder / "manifest.json").read_text())
    write_json(folder / "manifest.json", whole["manifest"])
    write_json(folder / "figures.json", whole)
    (folder / "MODEL_CARD.md").write_text("# Model card: a small one\n\nWhat it can do.\n")
    return folder


def container(folder, release, *options):
    """Write what a container is made from, as a person does; return (exit status, what was said)."""
    command = [sys.executable, "-m", "ingot.tools.container", folder, release, *options]
    done = subprocess.run(
        [str(word) for word in command],
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stdout
    return done.returncode, done.stdout


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def followed(folder, home, **variables):
    """Follow a Dockerfile on this machine; yield the port of what it starts."""
    text = re.sub(r"\\\n", " ", (folder / "Dockerfile").read_text())
    python = getattr(sys, "_base_executable", sys.executable)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **variables}
    work = home / "app"
    work.mkdir(parents=True)
    port = free_port()
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "ENV":
            environment |= dict(pair.split("=", 1) for pair in rest.replace("/home/ingot", str(home)).split())
            environment["INGOT_VENVS"] = str(ROOT / ".venvs")  # where it is built once
        elif word == "COPY":
            source, target = rest.split()[-2:]
            shutil.copytree(folder / source, work / target)
        elif word == "RUN" and rest.startswith("python3"):
            # With the settings of this machine for packages, which are no part of a container.
            subprocess.run([python, *rest.split()[1:]], cwd=ROOT, check=True, capture_output=True)
            subprocess.run([python, *rest.split()[1:]], cwd=work, env=environment, check=True, capture_output=True)
        elif word == "CMD":
            command = [python, *json.loads(rest)[1:-1], str(port)]
    process = subprocess.Popen(
        command, cwd=work, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert process.poll() is None, process.stderr.read()[-2000:]
            time.sleep(0.1)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=60)


def test_a_space_answers_through_its_page_and_keeps_nothing(release, tmp_path):
    folder = tmp_path / "my space"
    status, said = container(folder, release, "--space", "--title", 'Small: "one"')
    assert status == 0 and "hf upload OWNER/NAME" in said, said
    page = (folder / "README.md").read_text()
    assert page.startswith('---\ntitle: "Small: \\"one\\""\nsdk: docker\napp_port: 7860\nlicense: apache-2.0\n')
    assert "What it can do." in page
    script = """
page.goto(given["address"])
page.locator("#route input").wait_for()
page.locator("#question textarea").fill(given["question"])
page.locator("#question textarea").press("Enter")
page.locator("#chat .bot", has_text="— ").last.wait_for()
said["first"] = page.locator("#chat .bot").last.inner_text()
page.locator("#route input").click()
page.get_by_role("option", name="reasoning", exact=True).click()
page.locator("#question textarea").fill("why")
page.locator("#question textarea").press("Enter")
page.locator("#chat .bot", has_text="you chose it").wait_for()
said["second"] = page.locator("#chat .bot").last.inner_text()
page.reload()
page.locator("#route input").wait_for()
said["after"] = page.locator("#chat .bot").count()
"""
    with followed(folder, tmp_path / "home") as port:
        seen = in_browser(script, tmp_path / "profile", address=f"http://127.0.0.1:{port}/", question=EVIL)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/gradio_api/upload", data=b"x", timeout=20)
    assert re.search(r"— answered by code: the router chose it \(\d+% sure of this choice\)", seen["first"])
    assert "— answered by reasoning: you chose it" in seen["second"]
    assert seen["after"] == 0 and not (tmp_path / "home/app/chats").exists()
    assert seen["errors"] == []
    elsewhere = [url for url in seen["asked"] if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]
    assert elsewhere == []


def test_a_server_asks_for_its_key_and_answers(release, tmp_path):
    folder = tmp_path / "container"
    status, said = container(folder, release)
    assert status == 0 and "docker build" in said, said
    assert not (folder / "README.md").exists()
    with followed(folder, tmp_path / "home", INGOT_API_KEY=KEY) as port:
        url = f"http://127.0.0.1:{port}/v1/models"
        for key, expected in ((KEY, 200), ("another", 401)):
            request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
            try:
                with urllib.request.urlopen(request, timeout=60) as response:
                    status = response.status
            except urllib.error.HTTPError as error:
                status = error.code
            assert status == expected


def test_what_must_not_go_or_is_damaged_is_refused_and_nothing_is_left(release, tmp_path):
    copy = tmp_path / "release"
    shutil.copytree(release, copy)
    path = next(copy.rglob("*.gguf.zst"))
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    status, said = container(tmp_path / "out", copy)
    assert status == 1 and "is damaged; build it again" in said
    path.write_bytes(content)
    (copy / "MODEL_CARD.md").write_text("the token is hf_" + "aB3" * 12)
    status, said = container(tmp_path / "out", copy)
    assert status == 1 and "this should not leave this machine" in said
    (copy / "MODEL_CARD.md").write_text("# Model card")
    status, said = container(tmp_path / "out", copy, "--title", "x\nRUN curl evil")
    assert status == 1 and "is no title" in said
    status, said = container(copy, copy)
    assert status == 1 and "is not empty" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["release"]
