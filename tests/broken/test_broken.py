"""More than two hundred broken inputs, each through the step that meets it first, as its rule starts it.

No traceback, nothing half-written, the file or the key named, and the counts add up. `make test-slow` takes all sources
through Snakemake as well.
"""

import json
import os
import shutil
import signal
import struct
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from broken.corpus import CHECKPOINTS, CONFIGURATIONS, REFUSED, Broken, files, lines, names
from helpers.curation import LABELS, READ
from helpers.workspaces import ROOT
from ingot.errors import InputError
from ingot.io.records import read_json, read_records
from ingot.settings.load import read_mapping
from ingot.workflow import entry
from ingot.workflow.build import open_build

SOURCES = [*lines(), *files(), *names()]
SECONDS = 60


@contextmanager
def no_longer_than(seconds):
    """Fail if the block hangs."""

    def fail(*_):
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module", autouse=True)
def transformers_logs():
    """Let transformers find a stream for its messages that outlives a single test: it keeps the first."""
    from transformers.utils.logging import get_logger

    get_logger()


def refusal(script, spec, capsys):
    """Run a step as its rule does. Return what it said if it refused its input, or "". A traceback fails the test."""
    outputs = [Path(path) for path in spec["output"].values()]
    capsys.readouterr()
    with no_longer_than(SECONDS):
        try:
            entry.run(ROOT / f"workflow_scripts/{script}.py", spec)
        except SystemExit as ended:
            assert ended.code == 1
            said = capsys.readouterr().err
            assert "Traceback" not in said
            assert not [path for output in outputs for path in output.parent.glob(f"*{output.name}*")], "half-written"
            return said.rpartition("\ningot: ")[2]
    assert all(output.exists() for output in outputs)
    assert not [path for output in outputs for path in output.parent.glob("*.partial")]
    return ""


def test_there_are_more_than_two_hundred():
    assert len(SOURCES) + len(CHECKPOINTS) + len(CONFIGURATIONS) + len(PACKED) > 250
    assert len({broken.name for broken in SOURCES}) == len(SOURCES)


@pytest.mark.parametrize("broken", SOURCES, ids=lambda broken: ascii(broken.name[:60]))
def test_a_broken_source_is_refused_by_name_or_its_rows_are_counted(broken: Broken, tmp_path, monkeypatch, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    source = Path("in") / broken.name
    broken.make(source)
    out = {name: f"out/{file}" for name, file in zip(("records", "rejected", "report"), "abc", strict=True)}
    params = {
        "settings": READ.model_dump(mode="json"), "format": None, "shape": None, "sample": 1.0, "region": "US",
        "labels": vars(LABELS), "part": {"place": 0, "of": 1},
    }  # fmt: skip
    said = refusal(
        "data/read", {"input": {"source": str(source), "answers": []}, "output": out, "params": params}, capsys
    )
    assert not (tmp_path / "PWNED").exists()
    if said:
        assert broken.expected in (REFUSED, None), said
        assert broken.name in said and broken.said in said
        return
    assert broken.expected != REFUSED
    kept, rejected = list(read_records(Path(out["records"]))), list(read_records(Path(out["rejected"])))
    report = read_json(Path(out["report"]))
    assert report["read"] == report["kept"] + report["rejected"] == len(kept) + len(rejected)
    if broken.expected is not None:
        assert [one["reason"] for one in rejected] == broken.expected
        assert len(kept) == broken.kept


@pytest.mark.graph
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_broken_checkpoint_is_refused_before_anything_long(name, checkpoint, tmp_path, monkeypatch, capsys):
    make, said = CHECKPOINTS[name]
    monkeypatch.setattr("ingot.converting.received.TEMPLATE_SECONDS", 2)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(checkpoint, "model")
    make(Path("model"))
    spec = {
        "input": {"folder": ["model"]},
        "output": {"base": "out/base", "report": "out/report.json"},
        "params": {"kind": "local", "model": "model", "revision": None, "template": None, "dtype": "float32"},
    }
    refused = refusal("base/fetch", spec, capsys)
    assert refused, "it was taken"
    assert "model" in refused and said in refused, refused


PACKED = {
    "empty": lambda data: b"",
    "one byte": lambda data: data[:1],
    "only the magic": lambda data: data[:4],
    "length without a header": lambda data: data[:8],
    "half a header": lambda data: data[:20],
    "only the header": lambda data: data[: 8 + struct.unpack("<I", data[4:8])[0]],
    "half the content": lambda data: data[: len(data) // 2],
    "the last byte missing": lambda data: data[:-1],
    "a flipped bit": lambda data: data[:2000] + bytes([data[2000] ^ 1]) + data[2001:],
    "a flipped checksum": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "garbage at the end": lambda data: data + b"garbage",
    "a header of 4 GB": lambda data: data[:4] + b"\xff\xff\xff\xff" + data[8:],
    "another magic": lambda data: b"PK\x03\x04" + data[4:],
    "a plain zstd file": lambda data: data[8 + struct.unpack("<I", data[4:8])[0] :],
    "another digest": lambda data: data.replace(b'"sha256": "', b'"sha256": "0', 1),
    "another size": lambda data: data.replace(b'"bytes": ', b'"bytes":1', 1),
    "a header that is a list": lambda data: data[:8] + b"[" + data[9:],
}


@pytest.mark.parametrize("how", PACKED)
def test_a_broken_packed_file_is_refused_and_nothing_is_left(how, tmp_path):
    from ingot.io.container import pack_file, unpack_file

    (tmp_path / "whole").write_bytes(os.urandom(5000) * 20)
    pack_file(tmp_path / "whole", tmp_path / "good.zst", 3, 1)
    data = PACKED[how]((tmp_path / "good.zst").read_bytes())
    (tmp_path / "bad.zst").write_bytes(data)
    with no_longer_than(SECONDS), pytest.raises(InputError, match=r"bad\.zst"):
        unpack_file(tmp_path / "bad.zst", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.zst", "good.zst", "whole"]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_broken_configuration_is_refused_with_its_key(name, tmp_path, monkeypatch):
    text, said = CONFIGURATIONS[name]
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(text)
    with no_longer_than(SECONDS), pytest.raises(InputError) as error:
        open_build(read_mapping(Path("config.yaml")), ROOT)
    assert said in str(error.value)
    assert not Path("PWNED").exists()


@pytest.mark.slow
def test_every_broken_source_goes_through_the_real_rules(start, tmp_path):
    """All at once: what is refused fails by name, the others are read, and the build goes on beside them."""
    from helpers.workspaces import clone_of

    work = clone_of(start.folder, tmp_path / "ingot")
    (work / "in").mkdir()
    sources, made = [], []
    for number, broken in enumerate(SOURCES):
        path = f"in/{broken.name}"
        broken.make(work / path)
        if (work / path).is_file():  # others are refused before anything runs
            sources.append({"name": f"s{number}", "path": path, "domain": "code"})
            made.append((f"s{number}", broken))
    (work / "config.yaml").write_text(
        yaml.safe_dump({"preset": "tests/micro/preset.yaml", "sources": sources}, allow_unicode=True)
    )
    said = work.snakemake("--keep-going", "--until", "read", check=False)
    assert not (work / "PWNED").exists()
    for name, broken in made:
        reports = list((work / f"results/data/parts/{name}").glob("*/read.json"))
        log = "".join(path.read_text(errors="replace") for path in (work / "logs").glob(f"read_{name}_*.log"))
        assert "Traceback" not in log, log
        if broken.expected == REFUSED:
            assert not reports, broken.name
            assert "ingot: read:" in log, (broken.name, log, said[-2000:])
        elif broken.expected is not None:
            report = json.loads(reports[0].read_text())
            assert report["read"] == report["kept"] + report["rejected"]
            assert (report["kept"], report["rejected"]) == (broken.kept, len(broken.expected)), broken.name
