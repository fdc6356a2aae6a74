"""Drive a real Chromium, by Playwright, in an environment of its own."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from helpers.workspaces import ROOT

START = """
import json, sys
from playwright.sync_api import sync_playwright

given = json.loads(sys.argv[1])
said = {}
with sync_playwright() as driver:
    browser = driver.chromium.launch_persistent_context(
        given["profile"], executable_path=given["chromium"], args=["--no-sandbox"], accept_downloads=True,
        viewport={"width": 1200, "height": 800},
    )
    page = browser.pages[0]
    page.set_default_timeout(120_000)
    asked, errors = set(), []
    page.on("request", lambda request: asked.add(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append("dialog " + dialog.message))
    try:
"""
END = """
    except BaseException:
        page.screenshot(path=given["profile"] + "/failed.png")
        print("the page:", page.locator("body").inner_text(), file=sys.stderr)
        raise
    said.update(asked=sorted(asked), errors=errors)
    browser.close()
print(json.dumps(said))
"""


def chromium():
    """The program of the browser. Without one, the test is skipped, and says why."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return found or pytest.skip("no Chromium: on Debian, `apt-get install chromium`")


def in_browser(script, profile, **given):
    """Run a script with `page`, `given` and `said` in a browser; return `said`, with all addresses that were asked for.

    `profile` is the folder of the browser: what it remembers is there for the next run. After a failure, a picture of
    the page is there, too: failed.png.
    """
    built = subprocess.run(
        [sys.executable, ROOT / "envs/build.py", "browser"], stdout=subprocess.PIPE, text=True, check=True
    )
    body = "\n".join(f"        {line}" for line in script.strip("\n").splitlines())
    values = json.dumps({**given, "chromium": chromium(), "profile": str(profile)})
    done = subprocess.run(
        [f"{built.stdout.strip()}/bin/python", "-c", f"{START}{body}\n{END}", values],
        env={**os.environ, "HOME": str(profile)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
