"""kill -9 at any moment, on the real rules of the micro preset."""

import random
import signal
import subprocess
import time

import psutil
import pytest

from helpers.workspaces import ENVIRONMENT, clone_of

pytestmark = pytest.mark.graph


def steps_at_work(workspace):
    """The processes that compute, and not the shells and runners around them."""
    return [process for process in workspace.processes("ingot.workflow.entry") if process.info["cmdline"][1] == "-m"]


@pytest.mark.slow
@pytest.mark.parametrize("times", [2, 30])
def test_killed_at_any_moment_the_next_run_goes_on(start, built, tmp_path, times):
    """The scheduler or a job is killed, so many times: nothing finished runs again, nothing half written counts."""
    chance = random.Random(0)
    workspace = clone_of(start.folder, tmp_path / "ingot")
    # A training that is killed has a test of its own: tests/unit/adapter/test_adapt.py.
    trained = ["results/adapter"] if times == 30 else []
    targets = ["results/data/train.jsonl", *trained, "results/router/detector"]
    recorded = {}

    def check_traces():
        """A trace that was written is never written again: its step has not run again."""
        for path in workspace.folder.glob(".dvc/cache/runs/*/*/*"):
            if path.name[0] != ".":
                time_of = path.stat().st_mtime_ns
                assert recorded.setdefault(path, time_of) == time_of, path.read_text()

    killed, waited = {"scheduler": 0, "job": 0}, 0
    while sum(killed.values()) < times:
        with open(tmp_path / "said", "w") as said:
            # Not a pipe: it ends only with the jobs that outlive their scheduler, and they shall meet the next run.
            run = subprocess.Popen(
                ["snakemake", "--cores", "2", *targets],
                cwd=workspace.folder,
                env=ENVIRONMENT,
                stdout=said,
                stderr=said,
            )
        try:
            run.wait(chance.uniform(1.5, 9))
        except subprocess.TimeoutExpired:
            jobs = steps_at_work(workspace)
            kind = "job" if jobs and chance.random() < 0.7 else "scheduler"
            victim = chance.choice(jobs) if kind == "job" else run
            try:
                victim.send_signal(signal.SIGKILL)
                killed[kind] += 1
            except psutil.NoSuchProcess:
                pass  # it has ended by itself
            run.wait()
        waited += "a job of an earlier run is still busy" in (tmp_path / "said").read_text()
        assert "unlock" not in (tmp_path / "said").read_text()
        if run.returncode == 0:
            # All built before anything was killed: something new, so that there is something to kill.
            workspace.append("workflow_scripts/data/deduplicate.py", f"# {sum(killed.values())}\n")
        check_traces()
    while workspace.processes("ingot.workflow.entry"):
        time.sleep(0.1)  # one that is just starting would find the code as it is from here on, and run for nothing
    workspace.git("checkout", "-q", "workflow_scripts")
    workspace.build(*targets)
    check_traces()
    if times == 30:  # how many of each depends on how fast the machine is
        assert min(killed.values()) > 0, killed
        assert waited > 0, "some jobs have outlived their scheduler, and were waited for"
    for target in targets:
        paths = [p for p in [workspace / target, *(workspace / target).rglob("*")] if p.is_file()]
        assert paths, target
        for path in paths:
            there = built / path.relative_to(workspace.folder)
            assert path.name == ".snakemake_timestamp" or path.read_bytes() == there.read_bytes(), path
    assert not [p for p in workspace.folder.glob("results/**/.*") if p.name != ".snakemake_timestamp"]
    assert workspace.nothing_to_do(*targets)


def test_a_job_that_outlives_its_scheduler_does_not_spoil_what_is_restored_in_its_place(workspace):
    """Its code is not what it began with when it ends: it removes what it wrote, and that must not be the current."""
    wait = "while not Path('go').exists():\n    __import__('time').sleep(0.1)\n"
    workspace.append("workflow_scripts/data/deduplicate.py", f"Path('begun').touch()\n{wait}")
    run = subprocess.Popen(["snakemake", "--cores", "2"], cwd=workspace.folder, env=ENVIRONMENT)
    patience = time.monotonic() + 60
    while not (workspace / "begun").exists():  # before that, it could still read the code as it is put back below
        assert time.monotonic() < patience and run.poll() is None
        time.sleep(0.1)
    run.kill()
    run.wait()
    workspace.git("checkout", "-q", "workflow_scripts")
    before, said = workspace.logs(), workspace / "said"
    with open(said, "w") as file:
        run = subprocess.Popen(
            ["snakemake", "--cores", "2"], cwd=workspace.folder, env=ENVIRONMENT, stdout=file, stderr=file
        )
    while "a job of an earlier run is still busy" not in said.read_text():
        assert run.poll() is None, said.read_text()
        time.sleep(0.1)
    (workspace / "go").touch()
    assert run.wait() == 0, said.read_text()
    steps = {name for name, time_of in workspace.logs().items() if before.get(name) != time_of}
    assert steps <= {"deduplicate"}  # the job that outlived its scheduler has written its log
    assert "deduplicate: its inputs are as before, so it need not run" in said.read_text()
    assert workspace.nothing_to_do()
