"""What we write is what DVC writes: the same digests, keys and files, checked against DVC itself."""

import json
import os

import pytest

from projects import Project
from traced import yaml12
from traced.closure import closure
from traced.digest import Digests, listing
from traced.step import Step, Trace, flat
from traced.store import hash_of, key_of, new_entry
from traced.workspace import Workspace as Layer

SETTINGS = {"rate": 1e-05, "text": "0o17", "more": "1e3", "flag": True, "none": None, "word": "no", "list": [1, 2.5]}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A DVC project without git, with one stage of ours: a folder and an executable file go in, both kinds come out."""
    work = Project(tmp_path)
    work.dvc("init", "-q", "--no-scm")
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/x").write_text("one\n")
    (tmp_path / "a/b/y").write_text("two\r\n")
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return work


def step():
    given = {"wildcards": {}, "deps": ["a", "run.sh"], "outs": ["f", "out"], "settings": SETTINGS}
    return Step.of("one", json.dumps(given))


def test_dvc_and_we_write_the_same_trace(project):
    """DVC runs the stage; its lock and its run-cache hold just what we would have written."""
    one = step()
    stage = {
        "cmd": "mkdir -p out && cp a/x out/x && echo 1 > f",
        "deps": list(one.deps),
        "params": [{"params.json": ["one"]}],
    }
    project.folder.joinpath("dvc.yaml").write_bytes(yaml12.dump({"stages": {"one": stage | {"outs": list(one.outs)}}}))
    project.folder.joinpath("params.json").write_text(json.dumps({"one": SETTINGS}))
    project.dvc("repro", "-q")
    digests = Digests(project / ".dvc/tmp/traced")
    ours = new_entry(one, digests.of_all(one.deps), digests.of_all(one.outs)) | {"cmd": stage["cmd"]}
    theirs = yaml12.load(project / "dvc.lock")["stages"]["one"]
    assert ours == theirs
    assert (project / f".dvc/cache/runs/{key_of(ours)[:2]}/{key_of(ours)}/{hash_of(ours)}").exists()
    layer = Layer()
    assert layer.available(theirs)
    assert layer.store.lookup(key_of(ours)) == [ours, theirs]


def test_dvc_reads_what_we_record(project):
    """We run the stage; DVC finds it up to date, and restores it from our trace."""
    one = step()
    layer = Layer()
    before = layer.entry_of(one, layer.digests.of_all(one.deps))
    (project / "out").mkdir()
    (project / "out/x").write_text("one\n")
    (project / "f").write_text("1\n")
    layer.finish(one, before)
    layer.record(one, before)
    stage = {"cmd": one.command, "deps": list(one.deps), "params": [{"params.json": ["one"]}], "outs": list(one.outs)}
    (project / "dvc.yaml").write_bytes(yaml12.dump({"stages": {"one": stage}}))
    (project / "params.json").write_text(json.dumps({"one": SETTINGS}))
    assert "is cached - skipping run" in project.dvc("repro")
    assert "up to date" in project.dvc("status")
    (project / "f").unlink()
    project.dvc("checkout")
    assert (project / "f").read_text() == "1\n"


@pytest.mark.parametrize("types", ["copy", "reflink,copy", "hardlink", "symlink", "hardlink,symlink"])
def test_every_way_to_share_bytes_with_the_cache_works(project, types):
    project.dvc("config", "cache.type", types)
    one = step()
    layer = Layer()
    before = layer.entry_of(one, layer.digests.of_all(one.deps))
    (project / "out/sub").mkdir(parents=True)
    (project / "out/sub/x").write_text("in a folder\n")
    (project / "f").write_text("1\n")
    layer.finish(one, before)
    layer.record(one, before)
    entry = layer.store.lookup(key_of(before))[0]
    first = layer.digests.of_all(one.outs)
    (project / "f").unlink()
    layer.restore(entry)
    (project / "f").unlink()
    (project / "f").write_text("mine\n")
    (kept,) = layer.restore(entry)
    assert (project / kept).read_text() == "mine\n"
    assert (project / "f").read_text() == "1\n"
    assert layer.digests.of_all(one.outs) == first == Digests(project / "elsewhere").of_all(one.outs)
    if "link" in types and "reflink" not in types:
        assert os.stat(project / "f").st_ino == layer.cache.object(first["f"].md5).stat().st_ino


def test_a_write_through_a_link_into_the_cache_is_noticed(project):
    """Root can: the object is then not what its name says, and is not used."""
    project.dvc("config", "cache.type", "hardlink")
    one = step()
    layer = Layer()
    before = layer.entry_of(one, layer.digests.of_all(one.deps))
    (project / "out").mkdir()
    (project / "f").write_text("1\n")
    layer.finish(one, before)
    layer.record(one, before)
    entry = layer.store.lookup(key_of(before))[0]
    (project / "f").chmod(0o644)
    with open(project / "f", "a") as file:
        file.write("2\n")
    assert not layer.available(entry)


def test_digests_are_those_of_the_content_whatever_the_clock_says(project):
    digests = Digests(project / "memory")
    (project / "f").write_text("one")
    first = digests.of("f")
    stat = os.stat("f")
    (project / "f").write_text("two")
    os.utime("f", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert digests.of("f") != first
    (project / "f").write_text("one")
    os.utime("f", (1, 1))
    assert digests.of("f") == first
    assert digests.of("nothing") is None


def test_a_folder_is_its_files_and_not_snakemakes_mark(project):
    digests = Digests(project / "memory")
    first = digests.of("a")
    (project / "a/.snakemake_timestamp").write_text("")
    assert digests.of("a") == first
    assert (first.size, first.files) == (9, 2)
    (project / "a/x").rename(project / "a/z")
    assert digests.of("a") != first


def test_a_broken_memory_or_trace_is_as_good_as_none(project):
    digests = Digests(project / "memory")
    first = digests.of("a")
    for file in (project / "memory").iterdir():
        file.write_text('{"x": [1, 2')
    assert digests.of("a") == first
    layer = Layer()
    before = layer.entry_of(step(), layer.digests.of_all(step().deps))
    key = key_of(before)
    for text in ("", "{", "outs: 3", '{"outs": [{}]}', "\x00"):
        path = project / f".dvc/cache/runs/{key[:2]}/{key}/{len(text)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert layer.store.lookup(key) == []


def test_yaml_survives_either_version():
    values = {"a": "0o17", "b": "1e-5", "c": 1e-5, "d": "no", "e": True, "f": None, "g": "", "h": "~", "i": "12:30:45"}
    assert yaml12.parse(yaml12.dump(values)) == values
    from dvc.utils.serialize import parse_yaml

    assert dict(parse_yaml(yaml12.dump(values).decode(), "x")) == values
    assert yaml12.parse("x: 1e-05\ny: no\nz: {<<: {a: 1}, b: 2}\n") == {"x": 1e-05, "y": "no", "z": {"a": 1, "b": 2}}


def test_a_setting_that_dvc_would_overlook_is_refused():
    with pytest.raises(ValueError, match="settings called size are no part of DVC's traces"):
        Trace({"model": {"size": 3}})


def test_listing_is_sorted_as_dvc_sorts():
    assert listing({"b": "2", "a/c": "1"}) == b'[{"md5": "1", "relpath": "a/c"}, {"md5": "2", "relpath": "b"}]'
    assert flat(["b", "a", "b"]) == ["a", "b"]


def test_closure_follows_every_kind_of_import(tmp_path):
    files = {
        "main.py": "import one\nfrom pack import two\n",
        "one.py": "def f():\n    import deep.down\n",
        "two.py": "",
        "pack/__init__.py": "from . import three\n",
        "pack/two.py": "from .three import x\n",
        "pack/three.py": "x = 1\n",
        "deep/__init__.py": "",
        "deep/down.py": "import os, json\n",
        "other.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = {str(path.relative_to(tmp_path)) for path in closure([tmp_path / "main.py"], tmp_path)}
    assert found == set(files) - {"other.py", "two.py"}
