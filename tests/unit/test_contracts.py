"""Contracts between rules and functions, read off the commands that Snakemake would run."""

import inspect
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.workspaces import ROOT, Workspace
from ingot.workflow.entry import function_of

pytestmark = pytest.mark.graph


OTHER_DATA = f"""
score: {{least: 7, malformed: 0.1}}
target: {{rounds: 2, judged: {{domains: [instruction], malformed: 0.1}}}}
compare: {{model: IQ4_XS, reference: merged, malformed: 0.1, next_round: {{skip: 0.5, required: 0.5}}}}
judge_open: {{most: 10, malformed: 0.1}}
ask_suite:
  suites:
    - {{name: sums, task: gsm8k, data: {ROOT}/README.md}}
    - {{name: calls, task: function_calls, data: {ROOT}/README.md, answers: {ROOT}/README.md}}
sources:
  - {{name: far, hub: {{id: team/data, revision: "{"0" * 40}", file: part/train.jsonl}}, domain: code, parts: 2}}
measure: {{most: 5}}
router: {{most: 5}}
chain: [adapt, target, prefer, merge, prune, recover, quantize_awq]
"""
DISTILLED = """
chain: [adapt, merge, distil]
distil: {type: IQ2_XXS}
gguf: {types: [F16, IQ2_XXS, MIX_3_00], serve: IQ2_XXS}
ask_suite: {models: [merged]}
"""
SEARCH = """
base: {kind: local, model: some/folder}
frontier:
  types: [Q8_0]
  distilled: [MIX_2_50]
  prunings: {shallow: {structure: blocks, ratios: {blocks: 0.5}}}
"""


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """(folder, what Snakemake says) of dry runs of the micro preset, and of configurations with other rules."""
    found = []
    other_data = tmp_path_factory.mktemp("config") / "other.yaml"
    other_data.write_text(OTHER_DATA)
    distilled = other_data.with_name("distilled.yaml")
    distilled.write_text(DISTILLED)
    search = other_data.with_name("search.yaml")
    search.write_text(SEARCH)
    cut = other_data.with_name("cut.yaml")
    cut.write_text("base: {kind: local, model: some/folder}\ncut_vocabulary: {most: 400}\n")
    for extra in (
        [],
        ["base={kind: local, model: some/folder}"],
        ["--configfile", cut],
        [f"base={{kind: gguf, package: {{name: a, version: '1', sha256: {'0' * 64}, file: m.gguf}}}}"],
        ["quantize_awq={backend: autoawq}"],
        ["--configfile", search, "--", "results/frontier/confirmed.json"],
        ["--configfile", distilled],
        ["--configfile", other_data],
        ["chain=[]", "gguf=null", "base={kind: tokenizer, model: some/folder}", "ask_suite={suites: []}"],
    ):
        folder = tmp_path_factory.mktemp("dry")
        (folder / "tests").symlink_to(ROOT / "tests")
        preset = f"preset={ROOT}/tests/micro/preset.yaml"
        found.append((folder, Workspace(ROOT).snakemake("-n", "-p", "--directory", folder, "--config", preset, *extra)))
    return found


@pytest.fixture(scope="module")
def jobs(plans):
    """(rule's shell command, step, spec) of every job in them."""
    found = []
    for folder, said in plans:
        for line in said.splitlines():
            if "-m ingot.workflow.entry" in line:
                words = shlex.split(line)
                at = words.index("ingot.workflow.entry")
                spec = words[at + 2]
                spec = (folder / spec[1:]).read_text() if spec.startswith("@") else spec
                found.append((line, Path(words[at + 1]), json.loads(spec)))
    return found


def test_every_job_gives_its_step_exactly_the_arguments_that_it_takes(jobs):
    assert len({step for _, step, _ in jobs}) >= 28
    for _, step, spec in jobs:
        function = function_of(step)
        given = {*spec["input"], *spec["output"], *spec["params"]}
        # The entry gives a folder to go on from.
        assert given == set(inspect.signature(function).parameters) - {"work"}, step


def test_answers_of_endpoints_are_all_kept_in_one_place(jobs):
    places = {step.stem: spec["params"]["remembered"] for _, step, spec in jobs if "remembered" in spec["params"]}
    assert places.keys() >= {"score", "judge_round", "judge_open", "compare", "teach"}
    assert set(places.values()) == {".cache/answers"}


def test_a_step_has_no_defaults(jobs):
    for _, step, _ in jobs:
        function = function_of(step)
        assert all(p.default is inspect.Parameter.empty for p in inspect.signature(function).parameters.values()), step


def test_every_job_keeps_a_log(jobs):
    assert all("| tee logs/" in command for command, _, _ in jobs)


def test_every_script_is_a_step_of_some_rule(jobs):
    scripts = {p.stem for p in (ROOT / "workflow_scripts").glob("*/*.py")}
    assert scripts == {step.stem for _, step, _ in jobs}


def test_every_rule_is_among_the_jobs(plans):
    """A rule that no plan has is checked by nothing here."""
    begins = re.compile(r"^ *(?:rule|use rule \w+ as) (\w+)(?::| with:)$", re.MULTILINE)
    written = {name for path in ROOT.glob("rules/*.smk") for name in begins.findall(path.read_text())}
    planned = {name for _, said in plans for name in re.findall(r"^(\w+) +\d+$", said, re.MULTILINE)}
    assert len(written) > 60
    assert written - planned == set()


def test_scripts_import_without_torch():
    """A script that imports torch at once would make every job and every test wait for it."""
    names = [".".join(p.relative_to(ROOT).with_suffix("").parts) for p in ROOT.glob("workflow_scripts/*/*.py")]
    code = f"import sys, importlib; [importlib.import_module(n) for n in {names}]; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("preset", ["tiny", "llama-3.2-1b", "llama-3.1-8b", "llama-3.1-8b-24gb"])
def test_every_preset_can_be_planned_in_an_empty_folder(preset, tmp_path):
    Workspace(ROOT).snakemake("-n", "-q", "--directory", tmp_path, "--config", f"preset={preset}")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "base={kind: hub, model: no-such-team/no-such-model, revision: " + "0" * 40 + "}",
            "no-such-team/no-such-model at revision 0000",
        ),
        ("base={kind: local, model: no/such/folder}", "no/such/folder: no such folder"),
        ("adapt={backend: unsloth}", "unsloth needs a GPU"),
    ],
)
def test_a_build_that_cannot_end_does_not_begin(override, said, tmp_path):
    import shutil

    if "unsloth" in override and shutil.which("nvidia-smi"):
        pytest.skip("this machine has a GPU")
    assert said in Workspace(ROOT).snakemake("--directory", tmp_path, "--config", override, check=False)
    assert not (tmp_path / "results").exists()


# What Snakemake's own linter says of us in vain: our environments are locked venvs that the command builds, and {rule}
# is Snakemake's own name for the rule.
NOT_FOR_US = {
    "Mixed rules and functions in same snakefile.",  # common.smk has no rules
    "Specify a conda environment or container for each rule.",
    "Shell command directly uses variable rule from outside of the rule",
}


def test_snakemakes_linter_has_nothing_else_to_say():
    lint = Workspace(ROOT).snakemake("--lint", check=False)
    said = re.findall(r"^    \* (.*?):?$", lint, re.MULTILINE)
    assert len(said) >= 28, lint
    assert {line.rstrip(":.") for line in said} <= {line.rstrip(".") for line in NOT_FOR_US}
