"""The studio, as a person uses it: a real build, the page over it, and a real Chromium."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
import yaml

from helpers import figures as made_up
from helpers.browser import in_browser
from helpers.servers import status_of
from helpers.workspaces import ENVIRONMENT, ROOT, clone_of
from ingot.chatting import conversations

pytestmark = pytest.mark.graph

TARGET = "results/data/train.jsonl"
SLOW = "import time\ntime.sleep(6)\n"
UNTIL_SEEN = "import os, time\nfor _ in range(3000):\n    time.sleep(0.1 * (not os.path.exists({seen!r})))\n"


@pytest.fixture
def desk(start, built_workspace, tmp_path_factory):
    """A folder with the data stage of the micro build, and nothing else of it."""
    work = clone_of(start.folder, tmp_path_factory.mktemp("desk") / "ingot")
    shutil.copytree(built_workspace / ".dvc/cache", work / ".dvc/cache", symlinks=True)
    work.call("python", "-m", "traced.pipeline")
    rejected = [path for path in built_workspace.outs() if path.endswith(".rejected.jsonl")]
    work.snakemake(TARGET, *rejected)
    return work


@contextlib.contextmanager
def studio(work, *options):
    """Run the studio as its own process; yield its address."""
    built = subprocess.run(
        [sys.executable, ROOT / "envs/build.py", "studio"], capture_output=True, text=True, check=True
    )
    command = [f"{built.stdout.strip()}/bin/python", "-m", "ingot.tools.studio", TARGET, *map(str, options)]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(work.folder)}
    process = subprocess.Popen(
        command,
        cwd=work.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert "Traceback" not in said, said[-3000:]


def tab(name):
    return f'page.get_by_role("tab", name="{name}").click()\n'


OPEN = """
page.goto(given["address"])
page.locator("#headline", has_text="steps are up to date").wait_for()
said["first"] = page.locator("#headline").inner_text()
"""
CHOOSE = """
def choose(name, label):  # by its label: what another tab showed may still be there
    page.locator("marimo-dropdown", has_text=label).locator("button").click()
    page.keyboard.type(name)
    page.get_by_role("option", name=name, exact=True).click()
"""


def test_a_running_build_is_watched_and_what_fails_is_said(desk, tmp_path):
    script = (
        CHOOSE
        + OPEN
        + """
open(given["opened"], "w").close()
page.locator("#running", has_text="filter-").first.wait_for()
said["running"] = page.locator("#running").first.inner_text()
said["verdict"] = page.locator("#headline").inner_text()
said["because"] = page.locator("#steps tr", has_text="filter-").first.inner_text()
open(given["seen"], "w").close()
page.locator(".problem", has_text="failed at").first.wait_for()
said["failed"] = page.locator(".problem").first.inner_text()
name = said["failed"].split()[0]
choose(name, "Log of")
page.locator("#log").wait_for()
page.wait_for_timeout(4000)
said["log"] = page.locator("#log").inner_text()
said["page"] = page.content()
"""
    )
    step = desk / "workflow_scripts/data/filter.py"
    whole = step.read_text()
    said = []
    opened, until = tmp_path / "opened", tmp_path / "seen"

    def build_once_opened():
        while not opened.exists():
            time.sleep(0.1)
        said.append(desk.snakemake(TARGET, check=False))

    with studio(desk) as address:
        waits = UNTIL_SEEN.format(seen=str(until))
        step.write_text(f"{whole}\n{waits}raise SystemExit('this cannot be filtered')\n")
        build = threading.Thread(target=build_once_opened, daemon=True)
        build.start()
        seen = in_browser(script, tmp_path, address=address, opened=str(opened), seen=str(until))
        build.join()
    step.write_text(whole)
    assert "Exiting because a job execution failed" in said[0]
    assert re.match(r"filter-\S+ runs, since \d\d:\d\d:\d\d", seen["running"])
    assert "A build is running." in seen["verdict"]
    assert "code workflow_scripts/data/filter.py" in seen["because"]
    assert "logs/filter_" in seen["failed"]
    assert "this cannot be filtered" in seen["log"]
    assert str(desk.folder) not in seen["page"], "no place of this machine is on the page"
    assert seen["errors"] == []


def test_a_build_that_is_killed_is_said_to_be_stopped(desk, tmp_path):
    script = OPEN + 'page.locator(".problem", has_text="was stopped").first.wait_for()\n'
    step = desk / "workflow_scripts/data/filter.py"
    whole = step.read_text()
    step.write_text(f"{whole}\n{SLOW}")
    run = subprocess.Popen(
        ["snakemake", "--cores", "2", TARGET], cwd=desk.folder, env=ENVIRONMENT, start_new_session=True
    )
    locks = desk / ".dvc/tmp/traced/locks"
    while not any('"ended": null' in path.read_text() for path in locks.glob("filter-*")):
        assert run.poll() is None
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    with studio(desk) as address:
        seen = in_browser(script, tmp_path, address=address)
    step.write_text(whole)
    assert "stopped" in seen["first"]


def test_a_rejected_record_is_seen_and_appealed(desk, tmp_path):
    script = (
        OPEN
        + tab("Data")
        + """
page.get_by_text("secrets and personal data are masked").wait_for()
said["records"] = page.locator(".record").all_inner_texts()
page.get_by_label("of the kind (-- is all)").select_option(given["kind"])
page.wait_for_function(given["all of the kind"])
name = page.locator(".record .muted").first.inner_text().split()[-1]
said["of the kind"] = page.locator(".record").all_inner_texts()
page.locator("marimo-multiselect button").click()
page.get_by_role("option", name=name).click()
page.keyboard.press("Escape")
page.get_by_role("button", name="Appeal").click()
page.get_by_text("Noted under filter.appeals").wait_for()
said["noted"] = page.locator(".good").inner_text()
"""
    )
    rejected = [json.loads(line) for path in desk.folder.rglob("filtered.rejected.jsonl") for line in open(path)]
    with studio(desk, "--edit") as address:
        kind = rejected[-1]["filter"]
        all_of_it = f"all => all.length && all.every(e => e.innerText == '{kind}')"
        shown = f"({all_of_it})([...document.querySelectorAll('.record strong')])"
        seen = in_browser(script, tmp_path, address=address, kind=kind, **{"all of the kind": shown})
    assert len(seen["records"]) == 10 and 0 < len(seen["of the kind"]) <= 10
    (appealed,) = yaml.safe_load((desk / "config.yaml").read_text())["filter"]["appeals"]
    assert appealed in seen["noted"] and appealed in {row["id"] for row in rejected}
    told = " ".join(desk.call("make", "why", f"TARGET={TARGET}").split())
    assert re.search(rf"appeals\S*: \[\] -> \['{appealed}'\]", told), told
    assert {url.split("/")[2].split(":")[0] for url in seen["asked"] if url.startswith("http")} == {"127.0.0.1"}


def test_an_answer_marked_wrong_on_the_chat_page_is_data_of_the_next_build(desk):
    chats = conversations.Folder(desk / "chats")
    talk = chats.new()

    def mark(question, right):
        talk.turns += [conversations.Turn("user", question), conversations.Turn("assistant", "no idea")]
        chats.mark(talk, len(talk.turns) - 1, right)

    mark("Which of these numbers is the largest: 3, 9, 4?", "The largest of them is 9.")
    given = yaml.safe_load((desk / "presets/tiny.yaml").read_text())["sources"]
    chat = {"name": "chat", "path": "chats/marks.jsonl", "domain": "reasoning", "licence": "Apache-2.0"}
    desk.set(yaml.safe_dump({"sources": [*given, chat]}))

    def told():
        return " ".join(desk.call("make", "why", f"TARGET={TARGET}").split())

    assert "read-marks_jsonl_0-chat must run" in told()
    desk.snakemake(TARGET)
    (read,) = desk.folder.glob("results/data/**/chat/**/records.jsonl")
    (record,) = map(json.loads, read.open())
    assert "The largest of them is 9." in json.dumps(record)
    mark("Which of these words is the longest: sun, stone?", "The longest of them is stone.")
    assert "input chats/marks.jsonl" in told(), told()


def test_a_setting_is_refused_with_its_reason_and_saved(desk, tmp_path):
    script = (
        CHOOSE
        + OPEN
        + tab("Settings")
        + """
choose(given["key"], "Change a setting")
page.locator("textarea").fill("-1")
page.locator(".problem").wait_for()
said["refused"] = page.locator(".problem").inner_text()
page.get_by_role("button", name="Save to config.yaml").click()
page.wait_for_timeout(1000)
said["after refusal"] = open(given["config"]).read()
page.locator("textarea").fill("11")
page.locator(".good", has_text="may be 11").wait_for()
with open(given["config"], "a") as file:
    file.write("# somebody else was here\\n")
page.get_by_role("button", name="Save to config.yaml").click()
page.locator(".problem", has_text="changed by somebody else").wait_for()
page.get_by_role("button", name="Save to config.yaml").click()
page.locator(".good", has_text="Saved").wait_for()
said["now"] = page.locator("#settings").inner_text() if page.locator("#settings").count() else ""
"""
        + tab("Build")
        + """
page.locator("#steps tr", has_text="seed").first.wait_for()
"""
    )
    config = desk / "config.yaml"
    before = config.read_text()
    with studio(desk, "--edit") as address:
        seen = in_browser(script, tmp_path, address=address, key="seed", config=str(config))
    assert "seed: -1 is given, a whole number from 0" in seen["refused"]
    assert seen["after refusal"] == before
    after = config.read_text()
    assert "# somebody else was here" in after and yaml.safe_load(after)["seed"] == 11
    assert after.startswith("# yaml-language-server")


def test_without_edit_the_page_offers_no_change_and_two_builds_are_compared(desk, tmp_path):
    script = (
        OPEN
        + tab("Settings")
        + 'page.get_by_text("start the studio with").wait_for()\n'
        + 'said["buttons"] = page.get_by_role("button").all_inner_texts()\n'
        + tab("Results")
        + 'page.locator(".problem", has_text="build there first").wait_for()\n'
        + """
import pathlib
for name, size in (("here", 1000), ("other", 2000)):
    figures = json.loads(given["figures"])
    figures["ledger"][0]["bytes"] = size
    folder = pathlib.Path(given[name]) / "results/release"
    folder.mkdir(parents=True)
    (folder / "figures.json").write_text(json.dumps(figures))
"""
        + tab("Compare")
        + """
page.locator("#figures tr", has_text="size: base").wait_for()
said["compared"] = page.locator("#figures tr").all_inner_texts()
page.locator("summary").click()
said["alike"] = page.locator("#alike tr").count()
"""
        + tab("Results")
        + 'page.get_by_text("Artifacts: bytes").wait_for()\n'
    )
    other = tmp_path / "the other"
    other.mkdir()
    given = {"figures": json.dumps(made_up.figures()), "here": str(desk.folder), "other": str(other)}
    with studio(desk, "--beside", other) as address:
        seen = in_browser(script, tmp_path / "profile", address=address, **given)
    shutil.rmtree(desk / "results/release")
    assert not any("Save" in text or "Appeal" in text for text in seen["buttons"])
    assert "the other" in seen["compared"][0]
    assert seen["compared"][1:] == ["size: base\t1,000 bytes\t2,000 bytes\t-1,000 (better)"]
    assert seen["alike"] > 10
    assert seen["errors"] == []


def test_only_who_has_the_address_gets_the_page_and_what_it_says(desk):
    with studio(desk) as address:
        bare, _, token = address.partition("?token=")
        cookie = {"Cookie": f"ingot-page-{hashlib.sha256(token.encode()).hexdigest()[:8]}={token}"}
        assert status_of(bare) == status_of(f"{bare}?token=wrong") == 403
        assert status_of(bare, **cookie) == 200
        assert status_of(bare, Host="evil.example", **cookie) == 403
        assert status_of(bare, Origin="http://evil.example", **cookie) == 403
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        for headers in ({}, {"Origin": "http://evil.example", **cookie}):
            assert status_of(f"{bare}ws?session_id=s_abc123", **upgrade, **key, **headers) == 403


def test_a_folder_without_a_build_is_refused_in_a_line(tmp_path):
    command = [sys.executable, "-m", "ingot.cli", "studio"]
    done = subprocess.run(
        command, env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "there is no Snakefile here" in done.stderr and "Traceback" not in done.stderr
