"""Programs that try to get out of the sandbox."""

import os
import shutil
import socket
import time

import pytest

from ingot.errors import InputError
from ingot.measuring.sandbox import HOW_TO_INSTALL, Limits, require_sandbox, run_python

needs_sandbox = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


def test_without_bubblewrap_nothing_is_run_and_the_line_that_installs_it_is_said(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="apt install bubblewrap"):
        require_sandbox()
    assert "bubblewrap" in HOW_TO_INSTALL


@needs_sandbox
def test_a_program_runs_and_its_end_is_told():
    require_sandbox()
    good = run_python("import math, json; assert math.gcd(4, 6) == 2; print(json.dumps([1]))")
    assert (good.passed, good.output) == (True, "[1]\n")
    bad = run_python("assert 1 == 2, 'no'")
    assert not bad.passed
    assert "AssertionError: no" in bad.output


@needs_sandbox
def test_there_is_no_network():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        outcome = run_python(f"import socket; socket.create_connection({address!r}, 2)")
        assert not outcome.passed
        assert "Error" in outcome.output
        socket.create_connection(address, 2).close()  # which can be reached from here


@needs_sandbox
def test_files_of_the_system_cannot_be_read_or_changed(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("42")
    tmp_path.chmod(0o777)
    for path in (secret, "/etc/passwd", "/etc/shadow", "/root/.bashrc", "/home", "/var"):
        assert not run_python(
            f"import os; (os.listdir if os.path.isdir({str(path)!r}) else open)({str(path)!r})"
        ).passed
    for path in ("/usr/x", "/bin/x", "/x", "/etc/x", "/dev/shm/x", os.path.realpath(os.__file__) + "x"):
        assert not run_python(f"open({path!r}, 'w')").passed
    assert run_python("open('/tmp/x', 'w').write('a'); print(open('x').read())").output == "a\n"
    assert not run_python("open('/tmp/x')").passed  # gone with the program that wrote it


@needs_sandbox
def test_a_fork_bomb_dies_with_its_sandbox():
    before = len(os.listdir("/proc"))
    outcome = run_python("import os\nwhile True:\n    os.fork()", Limits(seconds=3))
    assert not outcome.passed
    count = run_python(
        "import os, time\nmade = 0\ntry:\n    while made < 500:\n        if os.fork() == 0:\n"
        "            time.sleep(30)\n        made += 1\nexcept OSError:\n    pass\nprint(made)",
        Limits(seconds=10, processes=32),
    )
    assert 0 < int(count.output.split()[-1]) < 40
    time.sleep(0.5)
    assert len(os.listdir("/proc")) < before + 20


@needs_sandbox
def test_memory_time_and_output_are_bounded():
    greedy = run_python("x = bytearray(3 << 30)", Limits(memory=1 << 28))
    assert "MemoryError" in greedy.output
    begin = time.monotonic()
    endless = run_python("while True: pass", Limits(seconds=1))
    assert endless.status is None or endless.status != 0
    assert time.monotonic() - begin < 5
    asleep = run_python("import time; time.sleep(60)", Limits(seconds=1))
    assert asleep.status is None
    flood = run_python("while True: print('x' * 1000)", Limits(seconds=5, output=10_000))
    assert not flood.passed
    assert len(flood.output) <= 10_000
    disk = run_python("open('/tmp/big', 'wb').write(b'x' * (1 << 24))", Limits(output=1 << 20))
    assert not disk.passed


@needs_sandbox
def test_nothing_of_the_parent_is_seen(monkeypatch):
    monkeypatch.setenv("API_KEY_OF_THE_PARENT", "sk-secret")
    seen = run_python(
        "import os, glob\nprint(dict(os.environ))\n"
        "for path in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):\n"
        "    try:\n        print(open(path).read())\n    except OSError as error:\n        print(error)\n"
    )
    assert seen.passed
    assert "API_KEY" not in seen.output
    assert "sk-secret" not in seen.output
    pids = run_python("import os; print(sum(name.isdigit() for name in os.listdir('/proc')))")
    assert int(pids.output) < 5


@needs_sandbox
def test_privileges_are_gone_and_the_parent_cannot_be_signalled():
    assert run_python("import os; print(os.getuid())").output.strip() != "0" or os.geteuid() != 0
    assert not run_python("import os; os.setuid(0); open('/root/x', 'w')").passed
    assert not run_python(f"import os; os.kill({os.getpid()}, 9)").passed
    assert not run_python(
        "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
        "assert libc.mount(b'none', b'/usr', b'tmpfs', 0, None) == 0"
    ).passed
