"""Somebody else's Snakefile adopts the layer: a wide graph, eight jobs at once."""

import re

import pytest

from projects import Project

pytestmark = pytest.mark.graph

SNAKEFILE = """
from traced.engine import install, params, prefix

TRACED = prefix()

rule all:
    input: "out/total.txt"

rule double:
    input: "in/{i}.txt"
    output: "out/{i}.txt"
    log: "logs/{i}.log"
    params: **params(times=2)
    shell:
        TRACED + "bash -c 'sleep 0.3; for i in $(seq {params.times}); do cat {input}; done > {output}' &> {log}"

rule total:
    input: expand("out/{i}.txt", i=range(24))
    output: "out/total.txt"
    log: "logs/total.log"
    params: **params()
    shell: TRACED + "bash -c 'cat {input} | sort | uniq -c > {output}' &> {log}"

install(workflow)
"""


WIDE = """
rule wide:
    input: "out/0.txt"
    output: "out/wide.txt"
    log: "logs/wide.log"
    threads: 2
    priority: 1
    params: **params()
    shell: TRACED + "cp {input} {output} &> {log}"

install(workflow)
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(24):
        (tmp_path / f"in/{i}.txt").write_text(f"{i % 5}\n")
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return Project(tmp_path)


def test_eight_jobs_at_once_record_and_restore(project):
    ran, _ = project.build("--cores", "8")
    assert ran == {str(i) for i in range(24)} | {"total"}
    expected = (project / "out/total.txt").read_text()
    assert project.nothing_to_do()
    (project / "in/7.txt").write_text("7\n")
    ran, _ = project.build("--cores", "8")
    assert ran == {"7", "total"}
    for path in project.folder.glob("out/*"):
        path.unlink()
    (project / "in/7.txt").write_text("2\n")
    ran, said = project.build("--cores", "8")
    assert ran == set(), said
    assert (project / "out/total.txt").read_text() == expected
    assert not list(project.folder.glob("out/?.txt")), "only what was asked for is fetched from the cache"


def test_a_step_that_dvc_yaml_does_not_know_is_compared_with_what_it_stored_last(project):
    project.build()
    project.edit("Snakefile", "install(workflow)\n", WIDE)
    project.build("out/wide.txt")
    assert "wide" not in (project / "dvc.lock").read_text()
    (project / "in/0.txt").write_text("7\n")
    project.build("out/0.txt")
    said = project.call("python", "-m", "traced.why", "out/wide.txt")
    assert re.search(r"wide +must run +input out/0.txt: \w+ -> \w+", said), said


def test_an_important_job_that_needs_all_cores_is_not_overtaken(project):
    project.edit("Snakefile", "install(workflow)\n", WIDE)
    project.build("out/total.txt", "out/wide.txt")
    begun = sorted(project.logs(), key=project.logs().get)
    assert begun.index("wide") - begun.index("0") <= 5, begun


JUDGED = """
rule ask:
    output: "out/{word,first|second}.txt"
    log: "logs/{word}.log"
    priority: 1
    resources: judges=1
    params: **params()
    shell: TRACED + "bash -c 'sleep 3; echo {wildcards.word} > {output}' &> {log}"

install(workflow)
"""


def test_what_an_important_job_does_not_wait_for_is_not_held_back(project):
    """One of two jobs waits for the only judge. Others need none, and have a core."""
    project.edit("Snakefile", "install(workflow)\n", JUDGED)
    project.build("out/first.txt", "out/second.txt", "out/total.txt", "--resources", "judges=1")
    begun = sorted(project.logs(), key=project.logs().get)
    assert abs(begun.index("first") - begun.index("second")) >= 4, begun


def test_a_rule_without_trace_is_refused(project):
    project.edit("Snakefile", "params: **params()", "params: x=1")
    said = project.snakemake("--dry-run", check=False)
    assert "rule total: without the param `trace` nothing remembers what it read" in said


def test_a_job_that_fails_leaves_nothing_and_the_others_stay(project):
    project.edit("Snakefile", "| sort |", "| sort | false |")
    project.edit("Snakefile", "bash -c 'cat", "bash -eo pipefail -c 'cat")
    said = project.snakemake("--cores", "8", check=False)
    assert "Error in rule total" in said
    assert not (project / "out/total.txt").exists()
    project.edit("Snakefile", "| sort | false |", "| sort |")
    ran, _ = project.build("--cores", "8")
    assert ran == {"total"}


def test_a_step_that_is_not_deterministic_is_not_run_again_for_that(project):
    """Two traces of one key: whichever is on disk is current."""
    project.edit("Snakefile", "| sort | uniq -c > {output}", "| sort | uniq -c > {output}; date +%N >> {output}")
    project.build("--cores", "8")
    first = (project / "out/total.txt").read_text()
    ran, _ = project.build("--cores", "8", "--forcerun", "total")
    assert ran == {"total"}
    second = (project / "out/total.txt").read_text()
    assert first != second
    assert project.nothing_to_do()
    (project / "out/total.txt").write_text(first)
    assert project.nothing_to_do()


def test_a_missing_source_is_named(project):
    (project / "in/3.txt").unlink()
    said = project.snakemake("--dry-run", check=False)
    assert re.search(r"Missing input files.*in/3.txt", said, re.DOTALL)


def test_a_full_disk_loses_nothing(project, tmp_path):
    """The cache on a file system with no room: the job fails with a word, and its outputs are not taken for done."""
    import subprocess

    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small file system")
    try:
        (project / "in/0.txt").write_text("x" * 200_000)
        (project / ".dvc").mkdir()
        (project / ".dvc/config").write_text(f"[core]\n    no_scm = True\n[cache]\n    dir = {small}\n")
        said = project.snakemake("--cores", "8", "--keep-going", check=False)
        assert "No space left on device" in said + "".join(p.read_text() for p in project.folder.glob("logs/*"))
        (project / ".dvc/config").write_text("[core]\n    no_scm = True\n")
        project.snakemake("--cores", "8")
        assert project.nothing_to_do()
    finally:
        subprocess.run(["umount", small], check=True)
