import hashlib
import json
import os
import shutil
import subprocess

import pytest

from ingot.errors import InputError
from ingot.io.container import pack_file, read_header, unpack_file
from ingot.io.records import read_json
from ingot.settings.gguf import Pack
from workflow_scripts.gguf.pack import pack


@pytest.fixture
def content(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(os.urandom(300_000) + bytes(3_000_000))
    return path


@pytest.fixture
def packed(tmp_path, content):
    pack_file(content, tmp_path / "model.gguf.zst", 3, 2)
    return tmp_path / "model.gguf.zst"


def test_content_comes_back_and_the_header_names_it(tmp_path, content, packed):
    unpack_file(packed, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content.read_bytes()
    promised = {"sha256": hashlib.sha256(content.read_bytes()).hexdigest(), "bytes": content.stat().st_size}
    assert read_header(packed).promise == promised


def test_the_number_of_threads_does_not_change_the_bytes(tmp_path, content, packed):
    for threads in (1, 4):
        pack_file(content, tmp_path / "again.zst", 3, threads)
        assert (tmp_path / "again.zst").read_bytes() == packed.read_bytes()


def test_another_program_unpacks_it(tmp_path, content, packed):
    if not shutil.which("zstd"):
        pytest.skip("the zstd command is not installed (Debian: apt-get install zstd)")
    subprocess.run(["zstd", "-dq", packed, "-o", tmp_path / "back"], check=True)
    assert (tmp_path / "back").read_bytes() == content.read_bytes()


def damaged(packed, change):
    data = bytearray(packed.read_bytes())
    packed.write_bytes(change(data))
    return packed


CUT = {
    "cut off": lambda data: data[: len(data) - 1000],
    "cut after the header": lambda data: data[:200],
    "a byte changed": lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:],
    "no header": lambda data: b"garbage" + data,
    "nothing": lambda data: b"",
}


@pytest.mark.parametrize("change", CUT.values(), ids=CUT.keys())
def test_a_damaged_file_is_refused_and_leaves_nothing(tmp_path, packed, change):
    with pytest.raises(InputError, match=r"model\.gguf\.zst"):
        unpack_file(damaged(packed, change), tmp_path / "back")
    assert not (tmp_path / "back").exists()
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("lie", [{"sha256": "0" * 64}, {"bytes": 5}, {"bytes": 10**9}, {"bytes": 10**18}])
def test_content_that_differs_from_the_promise_is_refused(tmp_path, packed, lie):
    import struct

    found = read_header(packed)
    header = json.dumps(found.promise | lie).encode()
    packed.write_bytes(struct.pack("<II", 0x184D2A50, len(header)) + header + packed.read_bytes()[found.start :])
    with pytest.raises(InputError, match="promise|cut off"):
        unpack_file(packed, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_the_step_reports_both_sizes(tmp_path, content):
    pack(content, tmp_path / "out.zst", tmp_path / "report.json", settings=Pack(level=3), threads=1)
    report = read_json(tmp_path / "report.json")
    assert report["bytes"] == content.stat().st_size
    assert report["packed_bytes"] == (tmp_path / "out.zst").stat().st_size


def test_the_unpack_command(tmp_path, content, packed, root):
    import sys

    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "ingot.tools.unpack", str(packed), str(tmp_path / "back")]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert (tmp_path / "back").read_bytes() == content.read_bytes()
    damaged(packed, lambda data: data[:1000])
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
