"""What a build is doing, put together from the graph and from what the trace layer notes."""

import os
import time

import pytest

from ingot.errors import InputError
from ingot.studio.texts import placeless
from ingot.studio.views import show_build, show_steps
from ingot.studio.watch import FAILED, RUNS, STOPPED, Row, Watch, is_alive, row_of, tail
from traced.lock import Work

EVIL = "<script>alert(1)</script>"


def told(name="filter", verdict="must run", because=()):
    return {
        "step": name,
        "rule": name,
        "log": f"logs/{name}.log",
        "verdict": verdict,
        "because": list(because),
    }


@pytest.mark.parametrize(
    ("work", "runs", "verdict", "state"),
    [
        (None, False, "must run", "must run"),
        (Work(100.0), True, "must run", RUNS),
        (Work(100.0), False, "must run", STOPPED),
        (Work(100.0), False, "up to date", "up to date"),
        (Work(100.0, 103.0, 1), False, "must run", FAILED),
        (Work(100.0, 103.0, 1), False, "up to date", "up to date"),
        (Work(100.0, 103.0, 0), False, "up to date", "up to date"),
        (Work(100.0, 103.0, 0), False, "must run", "must run"),
    ],
)
def test_the_state_of_a_step(tmp_path, work, runs, verdict, state):
    assert row_of(told(verdict=verdict), work, runs, 5.0, tmp_path).state == state


def test_why_a_step_runs_is_said_without_places_and_secrets(tmp_path):
    change = f"setting filter.top: {tmp_path}/x -> hf_" + "a1" * 17
    row = row_of(told(because=[change, "reads what read will write"]), None, False, None, tmp_path)
    assert row.because[0].startswith("setting filter.top: ./x -> [") and "hf_" not in row.because[0]
    assert row.because[1] == "reads what read will write"


def watch_of(root, rows, works=(), problem=None):
    def why():
        if problem:
            raise InputError(problem)
        return rows

    return Watch(root, lambda: works, why, lambda: {"filter": 60.0}, list)


def test_a_look_says_how_far_a_build_is(tmp_path):
    watch = watch_of(tmp_path, [told("read", "up to date"), told(), told("deduplicate", "waits for its inputs")])
    watch.look()
    assert watch.seen.headline() == "1 of 3 steps are up to date; 1 min of work left, as estimated."
    assert watch.seen.verdict() == "No build is running. To start one, type make in its folder."
    watch.works = lambda: [("filter", Work(time.time() - 30), True)]
    watch.look()
    (row,) = watch.seen.having(RUNS)
    assert watch.share(row) == pytest.approx(0.5, abs=0.05)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/filter.log").write_text("\r 20%|##   |\r 80%|####  |")
    assert watch.share(row) == 0.8
    assert "filter runs, since" in show_build(watch)


def test_a_graph_that_cannot_be_read_is_said_and_what_was_seen_stays(tmp_path):
    watch = watch_of(tmp_path, [told()])
    watch.look()
    watch.why = watch_of(tmp_path, [], problem=f"{tmp_path}/config.yaml: {EVIL}").why
    watch.asked = float("-inf")
    watch.again.set()
    watch.look()
    assert watch.seen.rows and watch.seen.problem == f"./config.yaml: {EVIL}"
    page = show_build(watch)
    assert EVIL not in page and "&lt;script&gt;" in page and str(tmp_path) not in page


def test_ten_thousand_steps_are_shown_by_pages(tmp_path):
    rows = [Row(f"read-{i:05}{EVIL}", "read", "", "must run") for i in range(10_000)]
    began = time.monotonic()
    page = show_steps(rows, "must run", "read", 667)
    assert "10,000 steps, page 667 of 667" in page and page.count("<tr>") == 1 + 10
    assert EVIL not in page
    assert "page 667 of 667" in show_steps(rows, "", "", 9999)
    assert "No step is like that" in show_steps(rows, FAILED, "", 1)
    assert time.monotonic() - began < 5


def test_whether_a_build_is_running(tmp_path):
    live = tmp_path / ".dvc/tmp/traced/live"
    assert not is_alive(tmp_path)
    live.parent.mkdir(parents=True)
    live.write_text(f"process {os.getpid()} on {os.uname().nodename} since 2026-01-01 00:00:00")
    assert is_alive(tmp_path)
    live.write_text(f"process 999999999 on {os.uname().nodename} since 2026-01-01 00:00:00")
    assert not is_alive(tmp_path)
    live.write_text("proc")
    assert not is_alive(tmp_path)


def test_no_other_place_of_the_machine_is_told(tmp_path):
    said = f"/mnt/scratch/jane/models/base is not there, see {tmp_path}/x, ./results/a/b, results/c, https://x.org/a/b"
    assert placeless(said, tmp_path) == "…/base is not there, see ./x, ./results/a/b, results/c, https://x.org/a/b"


def test_the_end_of_a_log_is_inert(tmp_path):
    (tmp_path / "logs").mkdir()
    text = "".join(f"line {i}\n" for i in range(100)) + f"in {tmp_path}/x: AKIA" + "IOSFODNN7EXAMPLE\n"
    (tmp_path / "logs/a.log").write_bytes(text.encode() + b"\xff\xfe broken\n")
    shown = tail(tmp_path, "logs/a.log")
    assert "line 0\n" not in shown and "line 99\n" in shown
    assert str(tmp_path) not in shown and "IOSFODNN7" not in shown
    assert "No such file" in tail(tmp_path, "logs/b.log")
