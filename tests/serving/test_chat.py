"""The chat page, as a person uses it: a real server, the page before it, and a real Chromium."""

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.browser import in_browser
from helpers.servers import KEY, serving, status_of
from helpers.workspaces import ENVIRONMENT, ROOT
from ingot.chatting.client import LEFT_OUT, Client, how_chosen, shortened
from ingot.curation.shapes import Labels, standardise
from ingot.errors import InputError

pytestmark = pytest.mark.graph


@pytest.fixture(scope="module")
def server(served_release, tmp_path_factory):
    with serving(served_release, tmp_path_factory.mktemp("home")) as running:
        yield running


@contextlib.contextmanager
def page_of(server, folder):
    """Run the page as its own process; yield its address."""
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), "INGOT_API_KEY": KEY}
    command = [sys.executable, "-m", "ingot.cli", "chat", "--server", server.url, "--folder", str(folder)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 0


QUESTION = "lambda sort python"
EVIL = "<img src=//x.org/x onerror=alert(1)><script>alert(2)</script>"
ASK = """
page.goto(given["address"])
page.locator("#question textarea").fill(given["question"])
page.locator("#question textarea").press("Enter")
page.locator("#chat .bot", has_text="— ").last.wait_for()
"""


@pytest.fixture(scope="module")
def asked(server, tmp_path_factory):
    """(folder of the conversations, profile of the browser, what was seen) after one question by route."""
    folder, profile = tmp_path_factory.mktemp("chats") / "mine", tmp_path_factory.mktemp("profile")
    script = (
        """
held = []
page.route("**/queue/join*", lambda route: route.continue_() if held else held.append(route))
page.goto(given["address"])
page.locator("#route input").wait_for()
for _ in range(600):
    if held:
        break
    page.wait_for_timeout(100)
said["early"] = page.locator("#question").count()
held[0].continue_()
page.locator("#question textarea").wait_for()
said["focus"] = page.evaluate("document.activeElement.placeholder")
"""
        + ASK
        + """
said["address"] = page.url
said["below"] = page.locator("#chat .bot").last.inner_text().rpartition("— ")[2]
said["listed"] = page.locator("#conversations label").all_inner_texts()
page.locator("#route input").click()
said["routes"] = page.get_by_role("option").all_inner_texts()
page.get_by_role("option", name="code", exact=True).click()
page.get_by_role("button", name="New conversation").click()
page.wait_for_function("document.querySelectorAll('#chat .bot').length == 0")
page.locator("#question textarea").fill(given["evil"])
page.locator("#question textarea").press("Enter")
page.locator("#chat .bot", has_text="— ").last.wait_for()
said["second"] = page.locator("#chat .bot").last.inner_text().rpartition("— ")[2]
page.screenshot(path=given["picture"])
"""
    )
    picture = str(tmp_path_factory.mktemp("pictures") / "chat.png")
    with page_of(server, folder) as address:
        seen = in_browser(script, profile, address=address, question=QUESTION, evil=EVIL, picture=picture)
    return folder, profile, seen


def test_nobody_asks_before_the_page_is_loaded_which_would_write_over_an_answer(asked):
    _, _, seen = asked
    assert (seen["early"], seen["focus"]) == (0, "Your question")


def test_an_answer_says_who_gave_it_and_why(asked):
    folder, _, seen = asked
    assert re.match(r"answered by code: the router chose it \(\d+% sure of this choice\)", seen["below"])
    assert seen["below"].endswith("; it is cut off, since there was no more room")  # an untrained model never ends
    assert [name.split()[-1] for name in seen["routes"]] == ["auto", "base", "code", "reasoning"]
    assert seen["second"].startswith("answered by code") and "you chose it" in seen["second"]
    assert seen["listed"] == [QUESTION]
    turns = {
        path["turns"][0]["text"]: path["turns"] for path in map(json.loads, map(Path.read_text, folder.glob("*.json")))
    }
    assert set(turns) == {QUESTION, EVIL}
    assert [turn["role"] for turn in turns[QUESTION]] == ["user", "assistant"]
    assert turns[QUESTION][1]["told"]["reason"] == "router"
    assert folder.stat().st_mode & 0o077 == 0


def test_nothing_is_loaded_from_elsewhere_or_run(asked):
    _, _, seen = asked
    elsewhere = [url for url in seen["asked"] if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]
    assert elsewhere == []
    assert seen["errors"] == [], "nothing that was written has run"
    assert "token" not in seen["address"]


def test_a_conversation_outlives_page_and_browser_and_can_be_exported_and_imported(server, asked, tmp_path):
    folder, profile, _ = asked
    script = """
page.goto(given["address"])
page.locator("#chat .bot", has_text="— ").first.wait_for()
said["open"] = page.locator("#chat .user").first.inner_text()
page.locator("#conversations label", has_text="lambda").click()
page.locator("#chat .user", has_text="lambda").wait_for()
with page.expect_download() as download:
    page.locator("#export").click()
download.value.save_as(given["file"])
page.get_by_role("button", name="New conversation").click()
page.wait_for_function("document.querySelectorAll('#chat .bot').length == 0")
with page.expect_file_chooser() as chooser:
    page.locator("#import").click()
chooser.value.set_files(given["file"])
page.locator("#chat .user", has_text="lambda").wait_for()
page.wait_for_function("document.querySelectorAll('#conversations label').length == 3")
with page.expect_file_chooser() as chooser:
    page.locator("#import").click()
chooser.value.set_files(given["wrong"])
page.get_by_text("this is no conversation that was exported here").wait_for()
"""
    (tmp_path / "wrong.json").write_text('{"turns": [{"role": "system"}]}')
    given = {"file": str(tmp_path / "it.json"), "wrong": str(tmp_path / "wrong.json")}
    with page_of(server, folder) as address:
        seen = in_browser(script, profile, address=address, **given)
    assert "onerror" in seen["open"], "what was open is open again, and is text"
    exported = json.loads((tmp_path / "it.json").read_text())
    assert exported["turns"][0]["text"] == QUESTION
    assert sum(json.loads(path.read_text()) == exported for path in folder.glob("*.json")) == 2


def test_a_wrong_answer_becomes_a_record_that_a_build_learns(server, tmp_path):
    folder = tmp_path / "chats"
    script = (
        ASK
        + """
page.locator("#chat .bot").last.hover()
page.get_by_role("button", name="dislike").last.click()
page.locator("#right textarea").fill("sorted([3, 1])")
page.get_by_role("button", name="Note that it is wrong").click()
page.get_by_text("marked as wrong").wait_for()
"""
    )
    with page_of(server, folder) as address:
        in_browser(script, tmp_path / "profile", address=address, question=QUESTION)
    (row,) = map(json.loads, (folder / "marks.jsonl").read_text().splitlines())
    assert (row["instruction"], row["response"], row["route"]) == (QUESTION, "sorted([3, 1])", "code")
    labels = Labels("chat", "code", "medium", "Apache-2.0")
    record, reason = standardise(row, labels, None)
    assert reason == "" and record["response"] == "sorted([3, 1])"


def test_of_a_long_conversation_the_first_messages_are_left_out(server):
    client = Client(server.url, KEY)
    said = [{"role": role, "content": "sort 3 1 2 " * 12} for role in ("user", "assistant") * 6]
    question = {"role": "user", "content": QUESTION}
    *_, (text, told) = client.answer([*said, question], "base")
    assert text and told["route"] == "base"
    left_out = told[LEFT_OUT]
    assert len(said) / 2 <= left_out <= len(said) and left_out % 2 == 0  # half of the room is for what follows
    assert f"the first {left_out} messages no longer fit" in how_chosen(told)
    # The next question begins where this one ended.
    answered = {"role": "assistant", "content": "1"}
    *_, (_, told) = client.answer([*said, question, answered, question], "base", left_out)
    assert told[LEFT_OUT] == left_out
    assert LEFT_OUT not in list(client.answer(said[:1], "base"))[-1][1]


@pytest.mark.parametrize("size", [1, 2, 7, 200])
def test_shortening_ends_with_the_last_question_alone(size):
    messages = [{"role": "user" if i % 2 == 0 else "assistant", "content": "x" * (i % 5 * 40)} for i in range(size)]
    left_out, steps = 0, 0
    while (shorter := shortened(messages, left_out)) != left_out:
        assert shorter > left_out and messages[shorter]["role"] == "user"
        left_out, steps = shorter, steps + 1
    assert left_out == (size - 1) // 2 * 2
    assert steps <= 10


def test_a_question_that_is_too_long_alone_is_refused_with_what_the_server_says(server):
    with pytest.raises(InputError, match="token"):
        list(Client(server.url, KEY).answer([{"role": "user", "content": "sort 3 1 2 " * 400}], "base"))


def test_only_who_has_the_address_gets_the_page(server, tmp_path):
    with page_of(server, tmp_path / "chats") as address:
        bare = address.partition("?")[0]
        assert status_of(bare) == 403
        assert status_of(f"{bare}?token=wrong") == 403
        token = address.partition("token=")[2]
        cookie = {"Cookie": f"ingot-page-{hashlib.sha256(token.encode()).hexdigest()[:8]}={token}"}
        assert status_of(bare, **cookie) == 200
        assert status_of(bare, Host="evil.example", **cookie) == 403
        assert status_of(bare, Origin="http://evil.example", **cookie) == 403
        assert status_of(f"{bare}gradio_api/file=/etc/passwd", **cookie) in (403, 404)


def test_without_a_server_it_says_so_at_once(tmp_path):
    command = [sys.executable, "-m", "ingot.cli", "chat", "--server", "http://127.0.0.1:9/v1"]
    done = subprocess.run(
        command, env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "http://127.0.0.1:9/v1" in done.stderr and "Traceback" not in done.stderr
