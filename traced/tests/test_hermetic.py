"""Steps that read what their rule does not declare are found out, by the name of what they read."""

import pytest

from projects import Project
from traced.hermetic import why_not

REASON = why_not()
pytestmark = [pytest.mark.graph, pytest.mark.skipif(bool(REASON), reason=REASON)]

SNAKEFILE = """
from traced.engine import install, params, prefix

TRACED = prefix()

rule total:
    input: "out/one"
    output: "total"
    params: **params()
    shell: TRACED + "cp {input} {output}"

rule one:
    input: "in"
    output: "out/one", directory("out/folder")
    params: **params(word="hello")
    shell: TRACED + "bash -c 'cat {input} > out/one; mkdir out/folder; cp {input} out/folder; COMMAND'"

install(workflow)
"""


@pytest.fixture
def build(tmp_path):
    """A function that builds with a command in a step, and returns what was said."""
    work = Project(tmp_path / "project")
    work.folder.mkdir()
    (work / "in").write_text("declared\n")
    (work / "settings").write_text("not declared\n")
    (tmp_path / "outside").write_text("not declared\n")

    def run(command, check=True, **variables):
        (work / "Snakefile").write_text(SNAKEFILE.replace("COMMAND", command))
        said = work.call("python", "-m", "traced.hermetic", check=check, **variables)
        return work, said

    return run


def test_a_step_that_reads_what_is_declared_is_built(build):
    work, _ = build("ls; echo $HOME; echo made > note; cat note; true")
    assert (work / "total").read_text() == "declared\n"
    assert (work / "out/folder/in").read_text() == "declared\n"
    assert not (work / "note").exists(), "what it writes besides is thrown away"
    assert work.nothing_to_do()


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("cat settings", "settings"),
        ("cat settings 2> /dev/null || true", "settings"),  # it goes on without it, and would be another step with it
        ("test -f settings || true", "settings"),
        ("cat ../outside || true", "outside"),
        ("test -d .snakemake || true", ".snakemake"),
    ],
)
def test_what_a_rule_does_not_declare_is_named(build, command, named):
    work, said = build(command, check=False)
    said = said.replace(f"{work.folder.parent}/", "")
    assert f"rule one does not declare what its step looks for: {named}" in said
    assert not (work / "total").exists()
    assert not (work / "out/one").exists()


def test_there_is_no_network_and_no_variable_of_yours(build):
    work, _ = build("echo $SESAME > out/one; (exec 3<>/dev/tcp/127.0.0.1/22) 2>> out/one; true", SESAME="open")
    assert "open" not in (work / "out/one").read_text()
    assert "Network is unreachable" in (work / "out/one").read_text() or "refused" in (work / "out/one").read_text()
