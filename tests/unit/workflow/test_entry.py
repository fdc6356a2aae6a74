"""The promises of the entry: outputs are there whole or not at all, and a user's mistake ends in a message."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ingot.errors import InputError
from ingot.workflow.entry import run, whole_outputs


@pytest.fixture
def step(tmp_path, monkeypatch):
    """Make a module with one step from the body of its function; return how to run it."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(body, name):
        script = tmp_path / f"workflow_scripts/made_up/{name}.py"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(
            "import errno, os, time\nfrom ingot.errors import InputError\n\n"
            f"def {name}(source, made, folder, *, word):\n    {body}\n"
        )
        spec = {
            "input": {"source": str(tmp_path / "source")},
            "output": {"made": str(tmp_path / "out/made.txt"), "folder": str(tmp_path / "out/folder")},
            "params": {"word": "hello"},
        }
        return script, spec

    return make


def outputs(tmp_path):
    return sorted(p.name for p in (tmp_path / "out").iterdir())


def test_outputs_get_their_names_when_the_step_has_ended(step, tmp_path):
    early = "assert not os.path.exists(str(made).replace('.made.txt.partial', 'made.txt'))"
    run(*step(f"made.write_text(word); folder.mkdir(); {early}", "good"))
    assert outputs(tmp_path) == ["folder", "made.txt"]
    assert (tmp_path / "out/made.txt").read_text() == "hello"


def test_old_outputs_are_replaced_whole(step, tmp_path):
    (tmp_path / "out/folder").mkdir(parents=True)
    (tmp_path / "out/folder/stale").touch()
    run(*step("made.write_text(word); folder.mkdir()", "again"))
    assert list((tmp_path / "out/folder").iterdir()) == []


@pytest.mark.parametrize("failure", ["raise ValueError('a defect')", "made.write_text(word)"])
def test_a_failed_or_forgetful_step_leaves_nothing(step, tmp_path, failure):
    with pytest.raises((ValueError, RuntimeError)):
        run(*step(f"folder.mkdir(); {failure}" if "raise" in failure else failure, f"bad{len(failure)}"))
    assert outputs(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise InputError('x.jsonl:3: broken')", "x.jsonl:3: broken"),
        ("open('/nonexistent/file')", "/nonexistent/file: no such file or directory"),
        ("raise OSError(errno.ENOSPC, 'No space left on device')", "the disk is full"),
    ],
)
def test_a_users_mistake_is_a_message_and_not_a_traceback(step, capsys, body, message):
    with pytest.raises(SystemExit) as stopped:
        run(*step(body, f"mistake{len(body)}"))
    assert stopped.value.code == 1
    assert message in capsys.readouterr().err


def test_a_killed_step_leaves_nothing_under_a_final_name(step, tmp_path, root):
    script, spec = step("made.write_text(word); folder.mkdir(); time.sleep(60)", "slowly")
    environment = {**os.environ, "PYTHONPATH": f"{root}:{tmp_path}"}
    process = subprocess.Popen(
        [sys.executable, "-m", "ingot.workflow.entry", script, json.dumps(spec)], env=environment
    )
    partial = tmp_path / "out/.folder.partial"
    for _ in range(200):
        if partial.exists():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert outputs(tmp_path) == [".folder.partial", ".made.txt.partial"]
    with whole_outputs(spec["output"]) as fresh:
        assert not any(path.exists() for path in fresh.values())
        fresh["made"].write_text("x")
        fresh["folder"].mkdir()
    assert outputs(tmp_path) == ["folder", "made.txt"]


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, root):
    """A real full disk: a tmpfs of 1 MB, which only root can mount."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False).returncode:
        pytest.skip("this machine does not let a test mount a tmpfs")
    try:
        (tmp_path / "big.gguf").write_bytes(os.urandom(4 << 20))
        spec = {
            "input": {"model": str(tmp_path / "big.gguf")},
            "output": {"packed": str(disk / "out/big.zst"), "report": str(disk / "out/report.json")},
            "params": {"settings": {"level": 1}, "threads": 1},
        }
        command = [sys.executable, "-m", "ingot.workflow.entry", "workflow_scripts/gguf/pack.py", json.dumps(spec)]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "the disk is full" in done.stderr
        assert "Traceback" not in done.stderr
        assert list((disk / "out").iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)


def test_an_unexpected_error_number_is_not_taken_for_a_full_disk(step):
    with pytest.raises(OSError, match="quota") as raised:
        run(*step("raise OSError(errno.EDQUOT, 'quota')", "quota"))
    assert raised.value.errno == errno.EDQUOT
    assert not isinstance(raised.value, InputError)


def test_outputs_can_be_read_by_others(step, tmp_path):
    run(*step("made.touch(0o600); folder.mkdir(); (folder / 'x').touch(0o600)", "private"))
    umask = os.umask(0)
    os.umask(umask)
    for path in (tmp_path / "out/made.txt", tmp_path / "out/folder/x"):
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask
