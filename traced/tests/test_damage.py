"""What was damaged, cut off, made up or left behind by a kill is never taken for what it says it is."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from projects import LAYER, Project
from traced import closure, store
from traced.cache import is_inside, read_listing
from traced.closure import Imports
from traced.digest import Digests, listing
from traced.step import Step, Trace, argument, of_argument
from traced.store import hash_of, key_of, read_lock
from traced.workspace import Workspace as Layer
from traced.workspace import finished_name

HEAD = """
from traced.engine import install, params, prefix
from traced.step import Trace

TRACED = prefix()
"""
RULES = """
rule total:
    input: "out/folder", "out/doubled"
    output: "out/total"
    params: **params()
    shell: TRACED + "bash -c 'cat out/folder/* out/doubled | sort > {output}'"

rule double:
    input: "in"
    output: "out/doubled"
    params: **params(times=2)
    shell: TRACED + "bash -c 'cat {input} {input} > {output}; echo ran >> runs'"

rule make_folder:
    input: "in"
    output: directory("out/folder")
    params: **params()
    shell:
        TRACED + "bash -c 'mkdir {output}; cp {input} {output}/one; echo two > {output}/two; echo ran >> runs'"

install(workflow)
"""
SNAKEFILE = HEAD + RULES


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A graph of three steps, built; each step that runs adds a line to the file `runs`."""
    work = Project(tmp_path_factory.mktemp("damage") / "project")
    work.folder.mkdir()
    (work / "in").write_text("content\n")
    (work / "Snakefile").write_text(SNAKEFILE)
    work.dvc("init", "-q", "--no-scm")
    work.snakemake()
    return work


@pytest.fixture
def project(built, tmp_path):
    """A copy of that build. Nothing runs in it just because it is a copy."""
    subprocess.run(["cp", "-a", built.folder, tmp_path / "project"], check=True)
    return Project(tmp_path / "project")


def runs(project):
    """How many steps have run, total apart, since this was asked last."""
    path = project / "runs"
    count = len(path.read_text().splitlines()) if path.exists() else 0
    path.unlink(missing_ok=True)
    return count


def objects(project):
    return sorted(path for path in project.folder.glob(".dvc/cache/files/md5/*/*") if path.name[0] != ".")


def lose(project, *names):
    for name in names:
        subprocess.run(["rm", "-rf", project / name], check=True)


def damaged(path, how):
    """Damage a file as a disk, a copy or a person does; its mode stays as it was."""
    if how == "a folder":
        path.unlink()
        path.mkdir()
        return
    mode = path.stat().st_mode
    content = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes({"emptied": b"", "cut": content[:-1], "flipped": bytes([content[0] ^ 1]) + content[1:]}[how])
    path.chmod(mode)


@pytest.mark.graph
@pytest.mark.parametrize("how", ["emptied", "cut", "flipped", "a folder"])
def test_a_damaged_object_is_never_handed_out(project, how):
    expected = (project / "out/total").read_bytes()
    runs(project)
    for path in objects(project):
        damaged(path, how)
    lose(project, "out")
    project.snakemake("total")
    assert (project / "out/total").read_bytes() == expected
    assert (project / "out/folder/one").read_text() == "content\n"
    assert runs(project) == 2, "nothing that was damaged was used, so both steps ran again"
    lose(project, "out")
    project.snakemake("total")
    assert runs(project) == 0, "and the cache is whole again"


@pytest.mark.graph
@pytest.mark.parametrize("how", ["emptied", "cut", "flipped", "a folder"])
def test_a_damaged_remote_is_noticed_and_what_it_lacks_is_made_again(project, tmp_path, how):
    expected = (project / "out/total").read_bytes()
    project.dvc("remote", "add", "-q", "-d", "shelf", tmp_path / "shelf")
    project.dvc("push", "-q", "--run-cache")
    runs(project)
    for path in (tmp_path / "shelf/files").rglob("*"):
        if path.is_file():
            damaged(path, how)
    lose(project, "out", ".dvc/cache", ".dvc/tmp")
    said = project.snakemake("total")
    assert (project / "out/total").read_bytes() == expected
    assert "damaged" in said or how == "a folder"
    assert runs(project) == 2


@pytest.mark.graph
@pytest.mark.parametrize("how", ["removed", "renamed in the rule"])
def test_a_source_that_is_not_there_is_named_though_all_results_are(project, how):
    """Snakemake itself takes results for sources then, and finds nothing to be done."""
    if how == "removed":
        (project / "in").unlink()
    else:
        project.edit("Snakefile", 'input: "in"', 'input: "on"')
    for command in (["total"], ["--dry-run"], ["out/total"]):
        said = project.snakemake(*command, check=False)
        assert "Missing input files" in said and "Nothing to be done" not in said
        assert re.search(r"^ +(in|on)$", said, re.MULTILINE), said
    said = project.call("python", "-m", "traced.why", check=False)
    assert said.startswith("Missing input files") and "Traceback" not in said


@pytest.mark.graph
def test_a_pipe_is_named_instead_of_waiting_for_its_other_end(project):
    (project / "in").unlink()
    os.mkfifo(project / "in")
    said = project.snakemake("total", check=False)
    assert "in: this is neither a file nor a folder" in said and "Traceback" not in said


@pytest.mark.graph
def test_a_source_whose_name_a_rule_fits_stays_a_source(tmp_path):
    project = Project(tmp_path)
    rule = 'rule unpack:\n    input: "{name}.packed"\n    output: "{name}.txt"\n    params: **params()\n'
    (tmp_path / "Snakefile").write_text(
        HEAD + 'rule copy:\n    input: "a.txt"\n    output: "out"\n    params: **params()\n'
        f'    shell: TRACED + "cp {{input}} {{output}}"\n{rule}    shell: TRACED + "cp {{input}} {{output}}"\n'
        "install(workflow)\n"
    )
    (tmp_path / "a.txt").write_text("a source\n")
    project.snakemake()
    assert project.nothing_to_do()


@pytest.mark.graph
def test_objects_in_each_others_place_are_noticed(project):
    expected = (project / "out/total").read_bytes()
    first, second, *_ = objects(project)
    first.rename(first.with_name("x"))
    second.rename(first)
    first.with_name("x").rename(second)
    lose(project, "out")
    project.snakemake("total")
    assert (project / "out/total").read_bytes() == expected


def test_a_list_of_a_folder_stays_in_its_folder_and_is_what_its_digest_says():
    good = listing({"a/b": "0" * 32})

    def digest(text):
        return hashlib.md5(text, usedforsecurity=False).hexdigest() + ".dir"

    assert read_listing(good, digest(good)) == {"a/b": "0" * 32}
    assert read_listing(good, "0" * 32 + ".dir") is None
    assert read_listing(good[:-1], digest(good)) is None
    for name in ("../x", "a/../../x", "/etc/x", "", "..", "a/\0"):
        bad = listing({name: "0" * 32})
        assert read_listing(bad, digest(bad)) is None, name
    for text in (b"", b"{}", b"3", b"[3]", b'[{"md5": "../../x", "relpath": "a"}]', b'[{"relpath": "a"}]'):
        assert not read_listing(text, digest(text)), text
    assert is_inside("..a/b..")


@pytest.mark.graph
def test_a_trace_from_elsewhere_is_what_its_name_says(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    layer = Layer()
    (path,) = [p for p in project.folder.glob(".dvc/cache/runs/*/*/*") if "out/total" in p.read_text()]
    entry = json.loads(path.read_text())
    key = key_of(entry)
    assert layer.store.lookup(key)[0] == entry
    (project / "dvc.lock").unlink()  # which knows the trace, too
    layer = Layer()
    assert layer.store.lookup(key) == [entry]
    entry["outs"][0]["md5"] = "f" * 32
    path.write_text(json.dumps(entry))
    assert layer.store.lookup(key) == []
    entry["outs"][0]["md5"] = "../../../../secret"
    path.with_name(hash_of(entry)).write_text(json.dumps(entry))
    path.with_name("0" * 64).write_text("{'a: [\n")
    assert layer.store.lookup(key) == []


def test_a_memory_of_digests_that_was_damaged_is_as_good_as_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").write_text("one")
    digests = Digests(tmp_path / "memory")
    first = digests.of("f")
    (memory,) = (tmp_path / "memory").iterdir()
    memory.write_text(memory.read_text().replace(first.md5, "0" * 32))
    assert digests.of("f") == first


@pytest.mark.graph
def test_an_edited_shell_command_runs_its_step_again(project):
    runs(project)
    project.edit("Snakefile", "cat {input} {input} >", "cat {input} {input} {input} >")
    said = project.snakemake("total", "--dry-run")
    assert "the rule's shell command is another one" in said
    project.snakemake("total")
    assert runs(project) == 1
    assert (project / "out/doubled").read_text() == "content\n" * 3
    project.edit("Snakefile", "cat {input} {input} {input} >", "cat {input} {input} >")
    project.snakemake("total")
    assert runs(project) == 0, "the trace of the old command is still known"


@pytest.mark.graph
@pytest.mark.parametrize(
    ("module", "function"), [("store", "Store.save"), ("workspace", "flush"), ("cache", "Cache.put")]
)
def test_what_a_step_finished_outlives_a_kill_while_it_is_recorded(project, module, function):
    """Finished work has a name of its own until its trace is stored, and another run stores it without the command."""
    runs(project)
    (project / "in").write_text("new\n")
    crash = f"import os, traced.{module}; traced.{module}.{function} = lambda *_: os.kill(os.getpid(), 9)\n"
    (project / "sitecustomize.py").write_text(
        f"import sys\nif 'traced.runner' in ' '.join(sys.orig_argv):\n    {crash}"
    )
    project.snakemake("total", check=False, PYTHONPATH=f"{project.folder}:{LAYER}")
    ran = runs(project)
    assert ran >= 1
    assert list(project.folder.glob("out/.*.finished-*"))
    (project / "sitecustomize.py").unlink()
    project.snakemake("total")
    assert runs(project) == 2 - ran
    assert (project / "out/total").read_text() == "new\n" * 3 + "two\n"
    assert not list(project.folder.glob("out/.*"))
    assert not list(project.folder.glob(".dvc/tmp/traced/scratch/*"))


def test_what_has_ended_before_the_machine_was_started_again_may_be_half_written(tmp_path, monkeypatch):
    """Its name says that no disk was known to have it. What was flushed has another name, and is used."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").write_text("content")
    out = "o" * 199  # the longest name whose own letters stand in that of finished work
    step = Step.of("rule", json.dumps({"wildcards": {}, "deps": ["in"], "outs": [out], "settings": {}}))
    layer = Layer()
    before = layer.entry_of(step, layer.digests.of_all(step.deps))
    (tmp_path / "boot").write_text("another\n")
    for settled in (False, True):
        (tmp_path / out).write_text("made")
        layer.finish(step, before)
        assert layer.is_finished(step, before)
        if settled:
            layer.settle(step, before)
        with monkeypatch.context() as other:
            other.setattr("traced.workspace.BOOT", tmp_path / "boot")
            assert layer.is_finished(step, before) is settled


@pytest.mark.graph
@pytest.mark.parametrize(("name", "hint"), [("ABRT", "a library that it uses crashed"), ("KILL", "no memory left")])
def test_a_command_that_crashes_or_is_killed_is_said_to_be(project, name, hint):
    project.edit("Snakefile", "cat {input} {input} >", f"kill -{name} $$; cat {{input}} {{input}} >")
    said = project.snakemake("out/doubled", check=False)
    assert f"double: the command was ended by SIG{name}" in said
    assert hint in said


def test_a_shell_command_has_the_same_digest_in_every_process():
    import snakemake.cli  # noqa: F401  (before what it imports itself)

    from traced.engine import shell_digest

    def digest(command, **names):
        return shell_digest(command, names, "/home/somebody")

    assert digest("{a}", a={"x", "y"}) == digest("{a}", a={"y", "x"}) != digest("{a}", a={"x"})
    assert digest("{a}", a=object()) == digest("{a}", a=object())
    assert digest("{a}/b", a="/home/somebody/x") == digest("{a}/b", a="/x"), "wherever the Snakefile is"
    assert digest("{python} x", python=sys.executable + " ") == digest("{python} x", python="")
    for odd in ("{a[0]}", "{a.b}", "{none}", "a { b"):
        digest(odd, a=1)


@pytest.mark.graph
@pytest.mark.parametrize("told", ["{EPOCHS}", "{config[epochs]}"])
def test_what_the_snakefile_puts_into_a_command_counts(project, told):
    runs(project)
    settings = "config['epochs'] = EPOCHS = 1\n"
    (project / "Snakefile").write_text(settings + (project / "Snakefile").read_text())
    project.edit("Snakefile", "cat {input} {input} >", f"echo {told}; cat {{input}} {{input}} >")
    project.snakemake("total")
    assert runs(project) == 1
    project.edit("Snakefile", "EPOCHS = 1", "EPOCHS = 2")
    project.snakemake("total")
    assert runs(project) == 1


@pytest.mark.graph
def test_what_is_left_of_other_inputs_is_not_used(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    finished_name("out/doubled", "0" * 64).write_text("of another key")
    (project / "in").write_text("other\n")
    project.snakemake("total")
    assert (project / "out/doubled").read_text() == "other\n" * 2
    assert not list(project.folder.glob("out/.doubled*"))


@pytest.mark.graph
def test_a_folder_to_go_on_from_belongs_to_what_a_step_reads(project):
    """The folder is the same for the same key after a failure, another one for another key, and gone in the end."""
    note = "ls $TRACED_SCRATCH >> seen; touch $TRACED_SCRATCH/note; test -f go || exit 1; "
    project.edit("Snakefile", "cat {input} {input} >", note + "cat {input} {input} >")
    for _ in range(2):
        project.snakemake("total", check=False)
    assert (project / "seen").read_text() == "note\n"
    (project / "in").write_text("other\n")
    project.snakemake("total", check=False)
    assert (project / "seen").read_text() == "note\n"
    (project / "go").touch()
    project.snakemake("total")
    assert (project / "seen").read_text() == "note\nnote\n"
    assert not list(project.folder.glob(".dvc/tmp/traced/scratch/*"))


def test_names_of_steps_never_fold_to_one():
    def name(*wildcards):
        given = {"wildcards": dict(enumerate(wildcards)), "deps": [], "outs": [], "settings": {}}
        return Step.of("rule", json.dumps(given)).name

    pairs = [("a.b", "a_b"), ("a b", "a_b"), ("a", "A"), ("x" * 300, "x" * 301), ("é", "e"), ("a-b", "a_b")]
    assert all(name(one) != name(other) for one, other in pairs)
    assert name("a", "b-c") != name("a-b", "c") != name("a_b", "c")
    assert name("a", "b") == "rule-a-b"
    assert all(len(name(one)) < 200 for pair in pairs for one in pair)


def test_long_arguments_go_by_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trace = Trace({"many": ["x" * 100] * 3000})({}, [], {})
    assert trace[0] == "@"
    assert len(trace) < 200
    assert Step.of("one", trace).values["many"][-1] == "x" * 100
    assert of_argument(argument("short")) == "short"


@pytest.mark.graph
def test_a_step_with_thousands_of_inputs_runs(tmp_path):
    """Trace and inputs of it are longer than a command line can be."""
    work = Project(tmp_path)
    names = [f"in/{'x' * 60}{i}" for i in range(4000)]
    (work / "in").mkdir()
    for name in names:
        (work / name).touch()
    text = SNAKEFILE.replace('input: "in"', 'input: sorted(__import__("glob").glob("in/*"))')
    (work / "Snakefile").write_text(
        text.replace("cat {input} {input}", "ls in").replace("cp {input} {output}/one", "true")
    )
    work.snakemake("out/doubled")
    assert len((work / "out/doubled").read_text().splitlines()) == 4000


@pytest.mark.graph
def test_odd_names_mean_nothing_to_shell_and_dvc(tmp_path):
    """In dvc.yaml, ${x y} would be a variable."""
    work = Project(tmp_path)
    name = "a ${x y} 'b' \"c\" (1) $(touch PWNED) `touch PWNED`;touch PWNED\n#"
    (work / name).write_text("content\n")
    rule = f"""
rule copy:
    input: {name!r}
    output: "out/copy"
    log: "logs/copy.log"
    params: **params()
    shell: TRACED + "cp {{input:q}} {{output}} 2> {{log}}"

install(workflow)
"""
    (work / "Snakefile").write_text(HEAD + rule)
    work.dvc("init", "-q", "--no-scm")
    work.snakemake()
    assert (work / "out/copy").read_text() == "content\n"
    assert not list(tmp_path.rglob("PWNED"))
    assert work.nothing_to_do()
    assert "up to date" in work.dvc("status")


@pytest.mark.graph
def test_a_cache_that_others_share_lets_them_write(project, tmp_path):
    if os.geteuid():
        pytest.skip("only root can be two users")
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chown(shared, 0, 65534)
    shared.chmod(0o2775)
    project.dvc("config", "cache.dir", shared)
    project.dvc("config", "cache.shared", "group")
    (project / "in").write_text("new\n")
    project.snakemake("total")
    folders = [path for path in shared.rglob("*") if path.is_dir()]
    assert folders
    assert all(path.stat().st_mode & 0o2020 == 0o2020 and path.stat().st_gid == 65534 for path in folders)


@pytest.mark.graph
@pytest.mark.parametrize("text", ["stages: [", "\x00\x01", "stages: {total: {<<<<<<< HEAD", "- 3"])
def test_a_damaged_lock_is_said_in_one_line(project, text):
    (project / "dvc.lock").write_text(text)
    said = project.snakemake("total", check=False)
    assert "dvc.lock: damaged" in said and "take it back from git, or remove it" in said
    assert "Traceback" not in said
    (project / "dvc.lock").unlink()
    runs(project)
    project.snakemake("total")
    assert runs(project) == 0


@pytest.mark.graph
def test_a_pipeline_is_recorded_when_all_of_it_has_ended(tmp_path):
    work = Project(tmp_path)
    (work / "in").write_text("b\na\n" * 50_000)
    rule = """
rule sorted:
    input: "in"
    output: "out"
    params: **params()
    shell: TRACED + "sort {input} | (cat; sleep 0.5; echo 'last one') > {output}; test -s {output} || exit 1"

install(workflow)
"""
    (work / "Snakefile").write_text(HEAD + rule)
    work.snakemake()
    assert (work / "out").read_text().endswith("b\nlast one\n")
    work.edit("Snakefile", "sort {input} |", "sort {input} | false |")
    said = work.snakemake(check=False)
    assert "Error in rule sorted" in said, "a part of it that fails counts, as everywhere in Snakemake"


@pytest.mark.graph
def test_names_and_order_of_inputs_count(tmp_path):
    work = Project(tmp_path)
    (work / "one").write_text("1\n")
    (work / "two").write_text("2\n")
    rule = """
rule joined:
    input: a="one", b="two"
    output: "out"
    params: **params()
    shell: TRACED + "cat {input.a} {input.b} > {output}"

install(workflow)
"""
    (work / "Snakefile").write_text(HEAD + rule)
    work.snakemake()
    work.edit("Snakefile", 'a="one", b="two"', 'a="two", b="one"')
    work.snakemake()
    assert (work / "out").read_text() == "2\n1\n"


def test_a_setting_of_a_function_may_not_be_called_as_dvc_overlooks_it():
    trace = Trace({"cut": lambda wildcards: {"size": 3}})
    with pytest.raises(ValueError, match="settings called size"):
        trace({}, [], {})


@pytest.mark.graph
def test_what_is_kept_here_reaches_no_remote(tmp_path):
    """Not even with --run-cache, by which DVC pushes what traces name."""
    work = Project(tmp_path / "project")
    work.folder.mkdir()
    (work / "in").write_text("sesame\n")
    rule = """
rule clean:
    input: "raw"
    output: "clean"
    params: **params()
    shell: TRACED + "wc -c < {input} > {output}"

rule raw:
    input: "in"
    output: raw="raw"
    params: trace=Trace({}, kept_here=["raw"])
    shell: TRACED + "cat {input} {input} > {output}"

install(workflow)
"""
    (work / "Snakefile").write_text(HEAD + rule)
    work.dvc("init", "-q", "--no-scm")
    work.snakemake()
    assert work.nothing_to_do()
    work.dvc("remote", "add", "-q", "-d", "shelf", tmp_path / "shelf")
    work.dvc("push", "-q", "--run-cache")
    pushed = [path.read_bytes() for path in (tmp_path / "shelf").rglob("*") if path.is_file()]
    assert pushed
    assert not any(b"sesame" in content for content in pushed), list((tmp_path / "shelf").rglob("*"))
    left_behind = shutil.ignore_patterns("cache", "tmp", "dvc.lock", "raw", "clean", ".snakemake")
    other = Project(shutil.copytree(work.folder, tmp_path / "other", ignore=left_behind))
    said = other.snakemake()
    assert "1 to run" in said, "without dvc.lock, raw data are made again"
    assert "clean: its inputs are as before, so it need not run" in said
    lose(work, "raw", "clean")
    work.snakemake()
    assert work.nothing_to_do()
    assert not (work / "raw").exists(), "its trace is known, and nobody needs it"


@pytest.mark.graph
def test_an_edit_is_kept_even_where_a_folder_cannot_be_read(project):
    (project / "out/folder/one").write_text("mine\n")
    (project / "out/folder/.#one").symlink_to("me@host.1:2")  # as an editor that has it open does
    (project / "out/total").unlink()
    project.edit("Snakefile", "| sort", "| sort -r")  # so that it reads the folder
    said = project.snakemake("total")
    assert "kept as" in said
    (kept,) = project.folder.glob("out/folder.edited-*")
    assert (kept / "one").read_text() == "mine\n"


@pytest.mark.graph
def test_an_edit_through_a_link_into_the_cache_is_kept(project):
    project.dvc("config", "cache.type", "symlink")
    (project / "in").write_text("other\n")
    project.snakemake("total")
    path = project / "out/doubled"
    assert path.is_symlink()
    path.resolve().chmod(0o644)
    path.write_text("mine\n")
    project.snakemake("total")
    assert path.read_text() == "other\n" * 2
    assert [kept.read_text() for kept in project.folder.glob("out/doubled.edited-*")] == ["mine\n"]


@pytest.mark.graph
def test_an_output_that_cannot_be_stored_is_said(project):
    project.edit("Snakefile", "echo two > {output}/two", "ln -s /nowhere {output}/two")
    said = project.snakemake("total", check=False)
    assert "out/folder cannot be stored: a link in it leads nowhere" in said


def test_a_connection_is_not_closed_in_the_event_loop_of_somebody_else():
    """Garbage collection in Snakemake's loop once left a task there that never ended, and Snakemake waited for it."""
    import asyncio

    sshfs = pytest.importorskip("sshfs")
    from traced.remote import leave_open

    leave_open()

    async def collected():
        sshfs.SSHFileSystem._finalize(asyncio.get_running_loop(), None, None)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(collected()) == set()


def test_a_lock_whose_aliases_stand_for_too_much_is_damaged(tmp_path):
    """DVC itself writes aliases, and a few of them may stand for more than any memory holds."""
    from traced.store import DamagedLockError, read_lock

    lock = tmp_path / "dvc.lock"
    lock.write_text("stages:\n  a: &a {cmd: x}\n  b: *a\n")
    assert read_lock(lock) == {"a": {"cmd": "x"}, "b": {"cmd": "x"}}
    levels = [f"  l{i + 1}: &l{i + 1} [{', '.join([f'*l{i}'] * 10)}]" for i in range(20)]
    lock.write_text("\n".join(["stages:", "  l0: &l0 [x]", *levels]))
    with pytest.raises(DamagedLockError, match="aliases"):
        read_lock(lock)
    lock.write_text("stages: &all\n  a: *all\n")
    with pytest.raises(DamagedLockError, match="aliases"):
        read_lock(lock)


def test_a_folder_in_the_place_of_a_memory_of_digests_is_replaced(tmp_path):
    """The soak found it: no digest could be kept under that name any more, and the step failed for ever."""
    from traced.digest import Digests

    digests = Digests(tmp_path / "memory")
    (digests.memory("key") / "inner").mkdir(parents=True)
    digests.remember("key", {"": ((1, 2, 3, 4), "md5")})
    assert digests.recall("key") == {"": ((1, 2, 3, 4), "md5")}


@pytest.mark.parametrize("harm", [lambda path: path.write_bytes(path.read_bytes()[:-9]), lambda path: path.unlink()])
def test_what_is_remembered_of_a_text_is_not_believed_once_damaged(tmp_path, monkeypatch, harm):
    monkeypatch.chdir(tmp_path)
    first = Imports()
    assert first.of(b"import one\n") == [[0, "one", []]]
    first.keep()
    assert Imports().known == first.known
    harm(closure.MEMORY)
    assert Imports().known == {} and Imports().of(b"import one\n") == [[0, "one", []]]


def test_a_lock_is_parsed_once_for_the_same_bytes_and_no_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lock = Path("dvc.lock")
    parses = []
    parse = store.yaml12.parse
    monkeypatch.setattr(store.yaml12, "parse", lambda data: parses.append(data) or parse(data))
    for text in ("a: {cmd: one}", "a: {cmd: one}", "a: {cmd: two}", "a: {cmd: {1: one}}"):
        lock.write_text(f"stages: {{{text}}}\n")
        assert read_lock(lock) == parse(lock.read_bytes())["stages"]
    assert len(parses) == 3
    read_lock(lock)
    assert len(parses) == 4, "JSON has no keys that are numbers, so this is not remembered"
