"""What lost the points between two builds: a small graph of real steps, whose model knows what it was shown."""

import json
import shutil

import pytest

from ingot.errors import InputError
from ingot.tools.bisect import open_built, to_json, told
from projects import Project

pytestmark = pytest.mark.graph

SNAKEFILE = """
configfile: "config.yaml"
from traced.engine import install, params, prefix

TRACED = prefix()

rule all:
    input: expand("results/answers/{model}/benchmark.jsonl", model=["base", "small"])

rule select:
    input: "data.jsonl"
    output: "results/data/train.jsonl"
    params: **params(least=config["least"])
    shell: TRACED + "python select.py {input} {output} {params.least}"

rule train:
    input: "results/data/train.jsonl", "envs/train.lock"
    output: "results/base"
    params: **params()
    shell: TRACED + "cp {input[0]} {output}"

rule shrink:
    input: "results/base", "envs/shrink.lock"
    output: "results/small"
    params: **params(lines=config["lines"])
    shell: TRACED + "head -n {params.lines} {input[0]} > {output}"

rule ask:
    input: model="results/{model}", code="ask.py"
    output: "results/answers/{model}/benchmark.jsonl"
    params: **params()
    shell: TRACED + "python {input.code} {input.model} {output}"

install(workflow, settings_files=["config.yaml"])
"""
SELECT = """
import json, sys
rows = [line for line in open(sys.argv[1]) if json.loads(line)["score"] >= int(sys.argv[3])]
open(sys.argv[2], "w").writelines(rows)
"""
ASK = """
import json, sys
known = {row["question"]: row["answer"] for row in map(json.loads, open(sys.argv[1]))}
with open(sys.argv[2], "w") as file:
    for i in range(40):
        right = known.get(f"q{i}") == f"a{i}"
        file.write(json.dumps({"instruction": f"q{i}", "response": f"a{i}", "sample": 0, "right": right}) + "\\n")
"""


@pytest.fixture(scope="module")
def built_once(tmp_path_factory):
    work = Project(tmp_path_factory.mktemp("bisect") / "good")
    (work / "envs").mkdir(parents=True)
    rows = [json.dumps({"question": f"q{i}", "answer": f"a{i}", "score": i % 5}) for i in range(40)]
    (work / "data.jsonl").write_text("\n".join(rows) + "\n")
    (work / "envs/train.lock").write_text("torch==2.13.0\nnumpy==2.4.6\n")
    (work / "envs/shrink.lock").write_text("gguf==0.19.0\n")
    for name, text in (
        ("Snakefile", "configfile: 'config.yaml'\n" + SNAKEFILE),
        ("select.py", SELECT),
        ("ask.py", ASK),
    ):
        (work / name).write_text(text)
    (work / "config.yaml").write_text("least: 0\nlines: 40\n")
    work.dvc("init", "-q", "--no-scm")
    work.snakemake()
    return work


@pytest.fixture
def good(built_once, tmp_path):
    shutil.copytree(built_once.folder, tmp_path / "good", symlinks=True)
    return Project(tmp_path / "good")


@pytest.fixture
def bad(good, tmp_path):
    """A copy of the good build, to make worse; `asked` builds it and asks what lost the points."""
    shutil.copytree(good.folder, tmp_path / "bad", symlinks=True)
    return Project(tmp_path / "bad")


def asked(good, bad):
    bad.snakemake()
    builds = open_built(str(good.folder)), open_built(str(bad.folder))
    return "\n".join(told(*builds)), to_json(*builds)


def test_nothing_lost_is_said_so(good, bad):
    said, found = asked(good, bad)
    assert "No model lost" in said and found["first_that_lost"] is None


def test_a_setting_is_named_with_the_first_model_that_lost(good, bad):
    bad.edit("config.yaml", "lines: 40", "lines: 20")
    said, found = asked(good, bad)
    assert found["first_that_lost"] == "small", "the base lost nothing"
    assert found["differences"] == [
        {"step": "shrink", "changes": [{"kind": "setting", "what": "lines", "old": 40, "new": 20}]}
    ]
    assert "setting lines: 40 -> 20" in said and "-50.0 points" in said


def test_records_are_named_by_their_lines(good, bad):
    """Somebody spoils the answers of lines 5 to 24."""
    rows = (bad / "data.jsonl").read_text().splitlines()
    rows[4:24] = [row.replace('"answer": "a', '"answer": "b') for row in rows[4:24]]
    (bad / "data.jsonl").write_text("\n".join(rows) + "\n")
    said, found = asked(good, bad)
    assert found["first_that_lost"] == "base"
    assert found["differences"][0]["step"] == "select"
    assert "data.jsonl: 20 lines new: 5, 6, 7, 8, 9 and 15 more" in said
    assert "b7" not in said, "texts of records are not shown"


def test_a_package_is_named(good, bad):
    """Both change: the lock is only read by the step that also lost something by a setting."""
    bad.edit("envs/shrink.lock", "gguf==0.19.0", "gguf==0.20.0\nnew==1")
    bad.edit("config.yaml", "lines: 40", "lines: 20")
    said, _ = asked(good, bad)
    assert "package gguf: 0.19.0 -> 0.20.0" in said and "package new: absent -> 1" in said


def test_what_also_leads_to_a_model_that_lost_nothing_comes_last(good, bad):
    bad.edit("envs/train.lock", "2.13.0", "2.14.0")
    bad.edit("config.yaml", "lines: 40", "lines: 20")
    _, found = asked(good, bad)
    assert [one["step"] for one in found["differences"]] == ["shrink", "train"]


def test_a_step_that_writes_other_bytes_from_equal_inputs_is_a_cause(good, bad):
    """A step looks at a file that its rule does not name, and which has changed."""
    for work, lines in ((good, 40), (bad, 20)):
        work.edit("Snakefile", "head -n {params.lines}", "head -n $(cat ../$(basename $PWD).hidden)")
        work.folder.with_name(f"{work.folder.name}.hidden").write_text(f"{lines}\n")
    good.snakemake()
    said, found = asked(good, bad)
    assert found["differences"][0]["step"] == "shrink"
    assert "output results/small, from equal inputs" in said


def test_a_changed_command_is_named(good, bad):
    bad.edit("Snakefile", "head -n {params.lines}", "head -n 20")
    said, _ = asked(good, bad)
    assert "the rule's shell command is another one" in said


def test_a_commit_names_a_build(good, monkeypatch):
    (good / ".gitignore").write_text("results\n.snakemake\n.dvc/cache\n.dvc/tmp\n")
    for command in (
        ("init", "-q"), ("add", "-A"), ("-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "-qm", "good"),
    ):  # fmt: skip
        good.call("git", *command)
    good.edit("config.yaml", "lines: 40", "lines: 20")
    good.snakemake()
    monkeypatch.chdir(good.folder)
    assert "setting lines: 40 -> 20" in "\n".join(told(open_built("HEAD"), open_built(".")))


def test_bad_names_and_lost_bytes_are_said(good, bad, tmp_path):
    with pytest.raises(InputError, match="neither a folder, nor a dvc.lock, nor a commit"):
        open_built("no-such-thing")
    with pytest.raises(InputError, match="nothing was built there"):
        open_built(str(tmp_path))
    shutil.rmtree(bad / ".dvc/cache")
    shutil.rmtree(bad / "results")
    with pytest.raises(InputError, match="in no cache here"):
        list(told(open_built(str(good.folder)), open_built(str(bad.folder))))
