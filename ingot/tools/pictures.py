"""Write pictures of the chat page and the studio for the docs: `make pictures`, in a folder with a finished build."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingot.errors import InputError

PICTURES = Path("docs/pictures")
QUESTION = "Sort these words: pear, apple, fig"
WIDTH, HEIGHT = 1100, 800


@contextlib.contextmanager
def page_of(*command: str) -> Iterator[str]:
    """Run a command of `ingot` that shows a page; yield its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ingot.cli", *command],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        if not line.startswith("Open "):
            raise InputError(f"ingot {command[0]} shows no page; see above")
        yield line.split()[1]
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)


def shoot_chat(page: Any, folder: Path) -> None:
    """Ask a question, and take a picture of the answer."""
    with page_of("chat", "--folder", str(folder / "chats")) as address:
        page.goto(address)
        page.locator("#question textarea").fill(QUESTION)
        page.locator("#question textarea").press("Enter")
        page.locator("#chat .bot", has_text="— ").last.wait_for()
        page.wait_for_timeout(1000)
        page.screenshot(path=PICTURES / "chat.png")


def shoot_studio(page: Any, preset: str) -> None:
    """Take a picture of each tab."""
    with page_of("studio", *(["--preset", preset] if preset else []), "--edit") as address:
        page.goto(address)
        page.locator("#steps tr").nth(1).wait_for()
        shown = {"Build": "#steps tr", "Data": ".record", "Settings": "#settings tr", "Results": ".plots svg"}
        for tab, something in shown.items():
            page.get_by_role("tab", name=tab).click()
            page.locator(something).first.wait_for()
            page.wait_for_timeout(2500)
            page.screenshot(path=PICTURES / f"studio-{tab.lower()}.png")


def main() -> None:
    """Write the pictures."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    preset = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        if not chromium:
            raise InputError("pictures need Chromium; install it (Debian: apt-get install chromium)")
        with tempfile.TemporaryDirectory(prefix="ingot-pictures-") as folder, sync_playwright() as driver:
            # Without a sandbox of its own: it opens nothing but the pages of this build, and root has none.
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.set_default_timeout(180_000)
            shoot_studio(page, preset)
            shoot_chat(page, Path(folder))
            browser.close()
    except InputError as error:
        raise SystemExit(f"ingot: pictures: {error}") from None


if __name__ == "__main__":
    main()
