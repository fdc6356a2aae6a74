"""Where files came from: statements that a stranger can check, and that do not survive a lie."""

import copy
import hashlib
import json
import shutil
from dataclasses import replace

import pytest

from projects import Project
from traced.lineage import check, entry_of, read, rebuilt
from traced.store import Run, hash_of

pytestmark = pytest.mark.graph

SNAKEFILE = """
from traced.engine import install, params, prefix

TRACED = prefix()

rule total:
    input: "out/folder", "out/doubled"
    output: "out/total"
    params: **params()
    shell: TRACED + "cat out/folder/* out/doubled > {output}"

rule double:
    input: "in"
    output: "out/doubled"
    params: **params(times=2)
    shell: TRACED + "cat {input} {input} > {output}"

rule make_folder:
    input: "in", "given"
    output: directory("out/folder")
    params: **params()
    shell: TRACED + "mkdir {output}; cp {input[0]} {output}/one; date +%N > {output}/two"

install(workflow)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    work = Project(tmp_path_factory.mktemp("lineage") / "project")
    (work / "given").mkdir(parents=True)
    (work / "given/file").write_text("in a folder that no step wrote\n")
    (work / "in").write_text("content\n")
    (work / "Snakefile").write_text(SNAKEFILE)
    work.dvc("init", "-q", "--no-scm")
    work.snakemake()
    return work


@pytest.fixture
def project(built, tmp_path):
    shutil.copytree(built.folder, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")


@pytest.fixture(scope="module")
def lines(built):
    return built.call("python", "-m", "traced.lineage", "total").splitlines()


@pytest.fixture
def statements(lines, tmp_path):
    (tmp_path / "lineage.jsonl").write_text("\n".join(lines) + "\n")
    return read(tmp_path / "lineage.jsonl")


def test_every_file_has_its_digest_and_leads_back_to_the_sources(built, statements):
    found = check(statements)
    assert found.problems == []
    assert [source["name"] for source in found.sources] == ["given/file", "in"]
    named = {subject["name"]: subject["digest"]["sha256"] for one in statements for subject in one["subject"]}
    assert sorted(named) == ["out/doubled", "out/folder/one", "out/folder/two", "out/total"]
    for name, digest in named.items():
        assert hashlib.sha256((built / name).read_bytes()).hexdigest() == digest
    times = statements[-1]["predicate"]["runDetails"]["metadata"]
    assert times["startedOn"] <= times["finishedOn"]


def test_the_format_is_that_of_in_toto_and_slsa(statements):
    for one in statements:
        assert one["_type"] == "https://in-toto.io/Statement/v1"
        assert one["predicateType"] == "https://slsa.dev/provenance/v1"
        build, run = one["predicate"]["buildDefinition"], one["predicate"]["runDetails"]
        assert {"buildType", "externalParameters", "resolvedDependencies"} <= build.keys()
        assert run["builder"]["id"].startswith("urn:uuid:")
    assert statements[0]["predicate"]["buildDefinition"]["externalParameters"]["rule"] in ("double", "make_folder")


def another(statements, change):
    changed = copy.deepcopy(statements)
    change({one["predicate"]["buildDefinition"]["internalParameters"]["step"]: one for one in changed})
    return check(changed).problems


def test_a_file_that_no_step_wrote_so_is_noticed(statements):
    def change(of):
        of["double"]["subject"][0]["digest"]["md5"] = "0" * 32

    assert "the files named for out/doubled are not those of its trace" in "\n".join(another(statements, change))


def test_an_input_that_nobody_wrote_so_is_noticed(statements):
    """The SHA-256 counts, too: two files of one MD5 can be made."""

    def change(of):
        for file in of["total"]["predicate"]["buildDefinition"]["resolvedDependencies"]:
            if file["name"] == "out/doubled":
                file["digest"]["sha256"] = "0" * 64

    assert "total read another out/doubled than double wrote" in "\n".join(another(statements, change))


def test_a_step_that_needs_what_it_writes_is_noticed(statements):
    def change(of):
        subject = of["total"]["subject"][0]
        of["double"]["predicate"]["buildDefinition"]["resolvedDependencies"].append(subject)

    assert any("needs what it writes" in one for one in another(statements, change))


@pytest.mark.parametrize("change", ["settings", "not JSON", "another type", "empty object", "a list"])
def test_a_line_that_is_no_statement_is_named(lines, change, tmp_path):
    value = json.loads(lines[0])
    if change == "settings":
        value["predicate"]["buildDefinition"]["internalParameters"]["entry"]["cmd"] += " --more"
    elif change == "another type":
        value["predicateType"] = "https://example.org/mine"
    texts = {"not JSON": lines[0][:-2], "empty object": "{}", "a list": "[]"}
    (tmp_path / "bad.jsonl").write_text(f"{lines[1]}\n{texts.get(change, json.dumps(value))}\n")
    with pytest.raises(ValueError, match=r"bad\.jsonl: line 2"):
        read(tmp_path / "bad.jsonl")


def test_a_lineage_of_what_is_not_built_is_refused(project):
    (project / "in").write_text("edited\n")
    said = project.call("python", "-m", "traced.lineage", "total", check=False)
    assert "has no trace" in said and "build first" in said


def test_it_says_which_steps_gave_the_same_bytes_again(project, statements):
    """`double` always gives the same bytes, `make_folder` writes the time."""
    project.snakemake("--forcerun", "double", "make_folder")
    again = [json.loads(line) for line in project.call("python", "-m", "traced.lineage", "total").splitlines()]
    counts = {
        one["predicate"]["buildDefinition"]["internalParameters"]["step"]: list(
            one["predicate"]["runDetails"]["metadata"]["urn:traced:repeated"].values()
        )
        for one in again
    }
    assert counts["double"] == [2, 2]
    assert counts["make_folder"] == [2, 1]


def test_a_run_of_another_builder_is_a_rebuild_and_the_first_of_its_own_is_not(statements):
    one = statements[0]
    own = Run(hash_of(entry_of(one)), ended=0, id=one["predicate"]["runDetails"]["metadata"]["urn:traced:run"])
    again, other = replace(own, id="again"), Run("0" * 64, ended=0, id="other")
    assert rebuilt(one, []) is None
    assert rebuilt(one, [own]) is None
    assert rebuilt(one, [own, again]) is True
    assert rebuilt(one, [again]) is True
    assert rebuilt(one, [own, other]) is False
    assert rebuilt(one, [other]) is False


@pytest.mark.parametrize(
    "note", ['{"entry": "x", "ended": "now", "id": "y"}', "[" * 10_000, '{"ended": 1e300}', "\xff"]
)
def test_an_odd_note_of_a_run_is_passed_over(project, note):
    for folder in (project / ".dvc/cache/ran").glob("*/*"):
        (folder / "1.json").write_text(note, encoding="latin-1")
    said = project.call("python", "-m", "traced.lineage", "total")
    assert len(said.splitlines()) == 3


def test_a_copied_note_is_no_second_run(project):
    for path in list((project / ".dvc/cache/ran").glob("*/*/*.json")):
        shutil.copy(path, path.with_name("9" * 19 + ".json"))
    for line in project.call("python", "-m", "traced.lineage", "total").splitlines():
        assert json.loads(line)["predicate"]["runDetails"]["metadata"]["urn:traced:repeated"]["runs"] == 1


@pytest.mark.parametrize("where", ["rule", "settings"])
def test_what_a_statement_says_of_its_step_is_what_its_trace_says(lines, where, tmp_path):
    value = json.loads(lines[0])
    value["predicate"]["buildDefinition"]["externalParameters"][where] = "another"
    (tmp_path / "bad.jsonl").write_text(json.dumps(value) + "\n")
    with pytest.raises(ValueError, match="line 1"):
        read(tmp_path / "bad.jsonl")
