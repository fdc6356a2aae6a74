"""What the steps took, as it is remembered."""

import json

import pytest

from projects import Project
from traced.spent import Spent, busy_seconds

SNAKEFILE = """
from traced.engine import install, params, prefix

rule both:
    input: "a", "b"
    output: "both"
    params: **params()
    shell: prefix() + "bash -c 'cat {input} > {output}'"

rule one:
    output: "{name,[ab]}"
    params: **params(note="x")
    shell: prefix() + "bash -c 'sleep 0.3; echo {wildcards.name} > {output}'"

install(workflow)
"""


def test_the_time_in_which_any_step_ran_counts_once():
    assert busy_seconds([]) == 0
    runs = [
        Spent("a", "a", ended=10, seconds=4, peak_bytes=0, file_bytes=0),
        Spent("b", "b", ended=12, seconds=5, peak_bytes=0, file_bytes=0),
    ]
    assert busy_seconds([*runs, Spent("c", "c", ended=101, seconds=1, peak_bytes=0, file_bytes=0)]) == 7


@pytest.mark.graph
def test_the_last_run_of_every_step_is_told(tmp_path):
    project = Project(tmp_path)
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    project.dvc("init", "-q", "--no-scm")
    project.snakemake()
    told = json.loads(project.call("python", "-m", "traced.spent", "--json"))
    assert sorted(step["step"] for step in told["steps"][:2]) == ["one-a", "one-b"]
    assert [step["step"] for step in told["steps"][2:]] == ["both"]
    assert all(step["seconds"] >= 0.3 for step in told["steps"][:2])
    assert all(step["peak_bytes"] > 1e6 for step in told["steps"])
    assert told["busy_seconds"] >= 0.3
    project.edit("Snakefile", 'note="x"', 'note="y"')
    table = project.call("python", "-m", "traced.spent")
    assert "one-a" not in table, "that run was with another setting"
    assert "while at least one of them ran" in table
