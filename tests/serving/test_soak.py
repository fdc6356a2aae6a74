"""The soak of the server, for some seconds, by the command that make gives."""

import subprocess

import pytest

from helpers.workspaces import ENVIRONMENT, ROOT

pytestmark = [pytest.mark.graph, pytest.mark.slow]


def test_a_soak_of_seconds_finds_no_fault_and_writes_its_page(served_release, tmp_path):
    asked = ["make", "-n", "soak-serving", f"RELEASE={served_release}", "MINUTES=0.1"]
    command = subprocess.run(asked, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True).stdout
    (line,) = [line for line in command.splitlines() if "soak_serving.py" in line]
    subprocess.run(f"{line} --page {tmp_path}/page.md", shell=True, cwd=ROOT, env=ENVIRONMENT, check=True)
    text = (tmp_path / "page.md").read_text()
    assert "Unexpected errors (5xx, or no answer): **0**. Tracebacks in the log: **0**." in text
    assert "| 200 |" in text
