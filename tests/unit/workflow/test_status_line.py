"""The line of a terminal that tells how far a build is."""

import os
import pty
import sys
import time

import pytest

from helpers.workspaces import ENVIRONMENT, ROOT
from ingot.planning.remaining import note
from ingot.workflow import remaining
from ingot.workflow.build import open_build
from ingot.workflow.status_line import StatusLine, duration, share_done


class Clock:
    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def line():
    whole = StatusLine(Clock())
    whole.total = 3
    whole.planned = {("a",): 100, ("b", "x"): 300, ("c",): 100}
    return whole


def test_it_says_what_runs_and_how_far_its_progress_bar_is(line, tmp_path):
    log = tmp_path / "a.log"
    log.write_bytes(b"x\n\ranswers:  10%|#   | 1/10\ranswers:  40%|##  | 4/10")
    line.start(1, "Make a", ("a",), log)
    line.start(2, "Make b of x", ("b", "x"), tmp_path / "not there yet")
    said = line.text(200)
    assert said.startswith("0 of 3 steps | ")
    assert said.endswith("| Make a 40%, Make b of x")


def test_it_learns_from_what_has_run_how_long_the_rest_takes(line):
    assert line.remaining() == 500, "by the plan"
    line.start(1, "Make a", ("a",), None)
    line.clock.now += 200  # twice as long as planned
    line.end(1)
    assert line.remaining() == pytest.approx(800)
    ends = time.strftime("%H:%M", time.localtime(line.clock.now + 800))
    assert line.text(200) == f"1 of 3 steps | 13 min left, until {ends}"


def test_a_job_without_a_progress_bar_counts_by_its_time_and_never_as_done(line):
    line.start(1, "Make a", ("a",), None)
    line.clock.now += 50
    assert line.remaining() == pytest.approx(450)
    line.clock.now += 1000
    assert line.remaining() > 4 * 1000


def test_without_a_plan_it_does_not_guess(line):
    line.planned = {}
    line.start(1, "Make a", ("a",), None)
    assert line.remaining() is None
    assert line.text(80) == "0 of 3 steps | Make a"


def test_it_fits_the_terminal(line):
    line.start(1, "Make something with a long name " * 9, ("a",), None)
    assert len(line.text(60)) == 60
    assert line.text(60).endswith("…")


def test_what_failed_comes_last_with_the_file_to_open(line, tmp_path):
    line.start(1, "Make a", ("a",), tmp_path / "a.log")
    line.start(2, "Make b", ("b", "x"), tmp_path / "b.log")
    line.fail(1)
    line.end(2)
    assert "1 failed" in line.text(80)
    assert line.summary().splitlines()[-1] == f"FAILED: Make a; see {tmp_path / 'a.log'}"


@pytest.mark.parametrize(
    ("seconds", "said"), [(20, "less than a minute"), (61, "1 min"), (3600, "1 h 00 min"), (7260, "2 h 01 min")]
)
def test_times_are_said_as_people_say_them(seconds, said):
    assert duration(seconds) == said


def test_a_log_of_another_kind_has_no_share(tmp_path):
    (tmp_path / "log").write_bytes(b"\xff 100% sure")
    assert share_done(tmp_path / "log") is None
    assert share_done(None) is None


def test_the_plan_of_a_build_gives_every_step_a_time(monkeypatch):
    monkeypatch.setattr(remaining, "SECONDS", {})
    steps = [("pretrain", ()), ("measure", ("merged",)), ("nothing known", ("x",))]
    note(open_build({"preset": "tiny"}, ROOT), ROOT, steps)
    assert set(remaining.SECONDS) == {("pretrain",), ("measure", "merged"), ("nothing known", "x")}
    assert remaining.SECONDS["pretrain",] > remaining.SECONDS["measure", "merged"] > 0


SNAKEFILE = """
rule all:
    input: "c.txt"

rule a:
    output: "a.txt"
    log: "logs/a.log"
    message: "Make a"
    shell: "echo 'answers:  35%|###  | 3/10' > {log}; sleep 3; touch {output}"

rule b:
    input: "a.txt"
    output: "b.txt"
    log: "logs/b.log"
    message: "Make b"
    shell: "touch {output}"

rule c:
    input: "b.txt"
    output: "c.txt"
    log: "logs/c.log"
    message: "Make c"
    shell: "printf 'steps:  10%%|#  | 1/10\\\\ningot: c: the spoon is bent\\\\n' > {log}; FAILS"
"""


def in_a_terminal(folder, *arguments):
    """Run Snakemake with the line in a pseudo-terminal; return (exit status, all that was shown)."""
    paths = f"{ROOT}:{ROOT / 'ingot/workflow/terminal'}"
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--logger", "line", *arguments]
    return called_in_a_terminal(folder, command, {**ENVIRONMENT, "PYTHONPATH": paths})


def called_in_a_terminal(folder, command, environment):
    shown = b""
    process, screen = pty.fork()
    if not process:
        os.chdir(folder)
        os.execvpe(command[0], command, {**environment, "TERM": "xterm", "COLUMNS": "90"})
    try:
        while read := os.read(screen, 65536):
            shown += read
    except OSError:
        pass  # so a terminal says that nobody writes any more
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), shown.decode()


def test_in_a_terminal_a_build_is_one_line_and_a_failure_is_said_last(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE.replace("FAILS", "false"))
    status, shown = in_a_terminal(tmp_path)
    assert status == 1
    assert "0 of 4 steps | Make a 35%" in shown
    assert "Select jobs" not in shown and "rule a" not in shown
    assert "failed: Make c\r\n  ingot: c: the spoon is bent" in shown
    assert shown.rstrip().endswith("FAILED: Make c; see logs/c.log")
    (tmp_path / "Snakefile").write_text(SNAKEFILE.replace("FAILS", "touch {output}"))
    status, shown = in_a_terminal(tmp_path)
    assert status == 0
    assert "steps done in less than a minute" in shown
    status, shown = in_a_terminal(tmp_path)
    assert status == 0
    assert "Nothing to be done" in shown and "steps" not in shown


def test_what_is_wrong_before_the_first_job_is_shown(tmp_path):
    (tmp_path / "Snakefile").write_text("raise WorkflowError('the key spoon is unknown')\n")
    status, shown = in_a_terminal(tmp_path)
    assert status == 1
    assert "the key spoon is unknown" in shown
    (tmp_path / "Snakefile").write_text("rule a:\n    input: 'spoon.txt'\n    output: 'a.txt'\n    shell: ''\n")
    status, shown = in_a_terminal(tmp_path)
    assert status == 1
    assert "spoon.txt" in shown


@pytest.mark.graph
def test_make_builds_in_a_terminal(start):
    """All of it but the building: Snakemake must understand what `make` tells it."""
    for command in (["make"], ["make", "PRESET=tests/micro/preset.yaml"]):
        status, shown = called_in_a_terminal(start.folder, [*command, "TARGET=no/spoon"], start.environment)
        assert status == 2
        assert "No rule to produce no/spoon" in shown


def test_a_dry_run_is_as_ever(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    status, shown = in_a_terminal(tmp_path, "--dry-run")
    assert status == 0
    assert "Make a" in shown and "This was a dry-run" in shown
