"""Only what changed runs again: stories on the real rules, each on a copy of one micro build.

What "ran" is seen from outside: a step that computes writes its log anew.
"""

import json
import os
import re
import subprocess
import time

import pytest

from helpers.stories import (
    LICENCE,
    MILDER,
    PRESET,
    RELEASE,
    TRAIN,
    agree,
    files,
    of_parts,
    share,
    steps_that_must_run,
)  # fmt: skip
from helpers.workspaces import ENVIRONMENT, clone_of
from traced.step import of_argument

pytestmark = pytest.mark.graph


# ------------------------------------------------------------------------------------------------ clocks do not count


def test_a_fresh_clone_and_dvc_pull_leave_nothing_to_do(workspace, tmp_path):
    share(workspace, tmp_path / "shelf")
    clone = clone_of(workspace.folder, tmp_path / "clone")
    clone.dvc("pull", "-q")
    assert clone.nothing_to_do()
    missing = set(re.findall(r"deleted: +(\S+)", clone.dvc("status")))
    assert missing, "raw data stay where they are"
    assert all(
        re.fullmatch(r"results/world/\w+.jsonl\S*|results/data/parts/\S+/records.jsonl", path) for path in missing
    )


def test_the_final_artifact_alone_is_enough(workspace, tmp_path):
    share(workspace, tmp_path / "shelf")
    clone = clone_of(workspace.folder, tmp_path / "clone")
    clone.dvc("pull", "-q", "release", "draw_plots")
    assert clone.nothing_to_do()
    ran, _ = clone.build()
    assert ran == set()
    assert not (clone / "results/base").exists()


def test_times_do_not_count(workspace):
    for path in [*workspace.folder.rglob("*.py"), *workspace.folder.glob("results/**/*"), workspace / "config.yaml"]:
        os.utime(path)
    agree(workspace)
    assert workspace.build()[0] == set()


def test_a_branch_and_back(workspace):
    """Another branch builds its own; going back restores, and computes nothing."""
    manifest = (workspace / RELEASE).read_bytes()
    workspace.git("checkout", "-q", "-b", "other")
    workspace.set(LICENCE)
    ran, _ = workspace.build()
    assert ran == {"release", "draw_plots"}
    workspace.git("commit", "-q", "-a", "-m", "other")
    assert (workspace / RELEASE).read_bytes() != manifest
    for branch, same in (("main", True), ("other", False)):
        workspace.git("checkout", "-q", branch)
        ran, _ = workspace.build()
        assert ran == set()
        assert ((workspace / RELEASE).read_bytes() == manifest) == same
        assert workspace.git("status", "--porcelain") == ""
    agree(workspace)


def test_another_preset_and_back(workspace):
    (workspace / "presets/other.yaml").write_text(f"extends: {PRESET}\nsplit: {{shares: {{valid: 0.1}}}}\n")
    train = (workspace / TRAIN).read_bytes()
    workspace.edit("config.yaml", PRESET, "other")
    ran, _ = workspace.build(TRAIN)
    assert ran == {"split"}
    assert (workspace / TRAIN).read_bytes() != train
    workspace.edit("config.yaml", "other", PRESET)
    ran, _ = workspace.build()
    assert ran == set()
    assert (workspace / TRAIN).read_bytes() == train
    assert workspace.nothing_to_do()


# ---------------------------------------------------------------------------------------------- what changed runs again


SUITES = ("read_suite-sums",)
SOURCES = ("alpaca", "messages", "question")


def test_a_comment_in_a_script_costs_that_step(workspace):
    workspace.append("workflow_scripts/data/deduplicate.py", "\n# a comment\n")
    ran, said = workspace.build()
    assert ran == {"deduplicate"}
    assert "release: its inputs are as before, so it need not run" in said
    assert workspace.nothing_to_do()


@pytest.mark.parametrize(
    ("file", "users"),
    [
        ("workflow_scripts/compress/prune.py", {"prune"}),
        ("ingot/settings/compress.py", set()),  # values are in the traces, and what is said about them changes nothing
        ("ingot/world/tasks.py", {"generate"}),
        ("ingot/io/formats.py", {*of_parts("read"), "read_benchmarks", *SUITES}),
        # at some depth: these import ingot/training/sft.py, which imports ingot/training/lora.py
        ("ingot/training/lora.py", {"adapt", "target-1", "train_modifier-code"}),
        ("ingot/training/oneshot.py", {"prune", "quantize_awq"}),
        ("envs/gguf.lock", {
            "convert", "convert_modifier-code", "importance", "ledger", "measure_gguf-F16", "measure_gguf-IQ4_XS",
            "pack-F16", "pack-IQ4_XS", "pack_modifier-code", "quantize-IQ4_XS", "release",
            "ask_suite_gguf-IQ4_XS-sums",
        }),
        ("envs/serve.lock", {
            "ask_gguf-code", "ask_modifier-code-benchmark", "ask_modifier-code-routing", "ask_served",
        }),
    ],
)  # fmt: skip
def test_an_edit_concerns_exactly_its_users(workspace, file, users):
    workspace.append(file, "\n# a comment\n")
    assert set(steps_that_must_run(workspace)) == users


def test_a_new_source_costs_its_own_part_and_the_joining(workspace):
    (workspace / "mine.csv").write_text("question,answer\nWhat is a new question?,A new answer.\n")
    generated = [f"{{name: {name}, generator: {name}, domain: instruction, licence: Apache-2.0}}" for name in SOURCES]
    workspace.set(f"sources: [{', '.join(generated)}, {{name: mine, path: mine.csv, domain: math}}]")
    rows = json.loads(workspace.call("python", "-m", "traced.why", "--json"))
    concerned = {row["step"] for row in rows if row["verdict"] in ("must run", "waits for its inputs")}
    of_part = {name for name in concerned if name.startswith(("read-", "filter-", "sign-"))}
    assert of_part == {"read-mine_csv_0-mine", "filter-mine_csv_0-mine", "sign-mine_csv_0-mine"}
    assert "deduplicate" in concerned


def leaves(value, path=()):
    if isinstance(value, dict):
        return [leaf for key, below in value.items() for leaf in leaves(below, (*path, key))]
    return [(path, value)]


def other(value):
    """Another value of the same kind, that a schema will not mind where any will do."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * 0.5 if value else 0.25
    return f"{value}2" if isinstance(value, str) else value


def told_to(job):
    """What a step is told, but for the GPUs that its job is promised: where it runs is no setting."""
    spec = job.params.get("spec")
    return spec and {**json.loads(of_argument(spec)), "gpu": None}


@pytest.mark.parametrize("of", [32, pytest.param(1, marks=pytest.mark.slow)])
def test_a_setting_concerns_exactly_the_steps_that_depend_on_it(built_workspace, monkeypatch, of):
    """For one of so many numbers and texts of the preset: another value, and what would run because of it.

    Expected is what the graph says: the jobs whose command, inputs or outputs are no longer the same, and all jobs that
    read what those write.
    """
    from ingot.errors import InputError
    from ingot.workflow.build import open_build
    from traced.graph import open_graph
    from traced.plan import Plan, Verdict

    monkeypatch.chdir(built_workspace.folder)
    settings = open_build({"preset": PRESET}, built_workspace.folder).settings.model_dump(mode="json")

    def look(override):
        """({step: what its job is}, the plan) under an override."""
        with open_graph(config={"preset": PRESET, **override}) as (tracer, steps, targets):
            jobs = {
                step.name: (told_to(job), set(map(str, job.input)), set(map(str, job.output)))
                for job, step in tracer.steps.items()
            }
            return jobs, Plan(tracer.workspace, steps, targets)

    before, plan = look({})
    assert not plan.with_verdict(Verdict.RUN, Verdict.WAIT)
    tried = {}
    always = [*(("resources", name) for name in ("memory_mb", "minutes", "gpu")), ("seed",), ("pack", "level")]
    for i, (path, value) in enumerate(leaves(settings)):
        if i % of and path not in always:
            continue
        key = ".".join(map(str, path))
        override = other(value)
        for part in reversed(path):
            override = {part: override}
        try:
            open_build({"preset": PRESET, **override}, built_workspace.folder)
        except InputError:
            continue  # a value of few, or a list: the schema allows nothing else so simple
        try:
            jobs, plan = look(override)
        except SystemExit as error:
            assert "Missing input files" in str(error), key
            continue  # the text names a file, and there is no such file
        expected = {name for name in jobs if jobs[name] != before.get(name)}
        changed = set(expected)
        while grown := {
            name
            for name, (_, inputs, _) in jobs.items()
            if name not in expected and any(inputs & jobs[parent][2] for parent in expected)
        }:
            expected |= grown
        planned = plan.with_verdict(Verdict.RUN, Verdict.WAIT)
        assert {one.step.name for one in planned} == expected, key
        assert {one.step.name for one in planned if one.changes} == changed, key
        tried[key] = len(expected)
    assert len(tried) > 80 / of
    assert not sum(tried[key] for key in tried if key.startswith("resources.")), "resources are no settings"
    assert tried["seed"] == len(before) - len(SUITES), "everything but the suites begins with the seed"
    assert 0 < tried["pack.level"] < 10


def test_a_reverted_edit_restores_and_computes_nothing(workspace):
    workspace.set(MILDER)
    ran, _ = workspace.build("results/packed/F16.gguf.zst")
    assert ran == {"pack_F16"}
    workspace.unset(MILDER)
    before = files(workspace / "logs")
    ran, said = workspace.build()
    assert ran == set()
    assert "to restore" in said or "to run" not in said
    assert files(workspace / "logs") == before
    agree(workspace)


# ---------------------------------------------------------------------------------------------------- hands and clocks


def test_a_dry_run_changes_nothing(workspace):
    workspace.append("results/data/clean.jsonl", "mine\n")
    workspace.set(MILDER)
    (workspace / "results/data/test.jsonl").unlink()
    before = files(workspace.folder)
    said = workspace.snakemake("--dry-run")
    assert "traced: decontaminate: would be restored" in said
    assert files(workspace.folder) == before


def test_an_output_edited_by_hand_is_kept_aside_and_restored(workspace):
    right = (workspace / "results/data/clean.jsonl").read_bytes()
    workspace.append("results/data/clean.jsonl", "mine\n")
    workspace.append("results/base/config.json", "\n")
    ran, said = workspace.build()
    assert ran == set()
    kept = re.findall(r"your version is kept as (\S+)", said)
    assert len(kept) == 2
    assert (workspace / next(name for name in kept if "clean" in name)).read_bytes() == right + b"mine\n"
    assert (workspace / "results/data/clean.jsonl").read_bytes() == right
    agree(workspace)


def test_content_in_the_place_of_an_output_that_must_run_is_kept_too(workspace):
    workspace.append("results/data/deduplicated.jsonl", "mine\n")
    workspace.append("workflow_scripts/data/deduplicate.py", "# a comment\n")
    _, said = workspace.build(TRAIN)
    (kept,) = re.findall(r"kept as (\S+)", said)
    assert (workspace / kept).read_text().endswith("mine\n")


def test_forced_steps_run_though_their_trace_is_known(workspace):
    ran, _ = workspace.build("--forcerun", "split", TRAIN)
    assert ran == {"split"}
    assert workspace.nothing_to_do()


# ----------------------------------------------------------------------------------------- no trace is ever poisoned


def begin(workspace, *arguments):
    return subprocess.Popen(
        ["snakemake", "--cores", "2", *arguments], cwd=workspace.folder, env=ENVIRONMENT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def wait_for(condition, seconds=60):
    for _ in range(seconds * 20):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def is_computing(workspace, step):
    """Whether the process of a step is there."""
    return any(
        any(word.endswith(f"/{step}.py") for word in process.info["cmdline"])
        for process in workspace.processes("ingot.workflow.entry")
    )


def test_an_input_that_changes_under_a_running_step_spoils_nothing(workspace):
    workspace.set("pretrain: {training: {steps: 21}}")
    (workspace / "logs/pretrain.log").unlink()
    run = begin(workspace, "results/base")
    wait_for(
        lambda: (workspace / "logs/pretrain.log").exists() and "21/21" in (workspace / "logs/pretrain.log").read_text()
    )
    workspace.append("results/world/pretraining.jsonl", "{}\n")
    said, _ = run.communicate()
    assert run.returncode == 1
    assert "results/world/pretraining.jsonl changed while the step was running: its result is not kept" in said
    assert not (workspace / "results/base").exists()
    _, said = workspace.build("results/base")
    assert "generate: an output was edited by hand" in said
    assert workspace.nothing_to_do("results/base")


def test_overrides_of_the_command_line_are_no_part_of_the_project(workspace):
    lock = (workspace / "dvc.lock").read_bytes()
    ran, said = workspace.build(TRAIN, "--config", "split={shares: {valid: 0.06}}", check=False)
    assert "the configuration is not valid" in said or "dvc.lock is not written: --config" in said
    (workspace / "mine.yaml").write_text("split: {shares: {valid: 0.06, routing: 0.12, test: 0.08}}\n")
    ran, said = workspace.build(TRAIN, "--configfile", "mine.yaml")
    assert {"split"} <= ran
    assert "dvc.lock is not written: --config and --configfile are no part of the project" in said
    assert (workspace / "dvc.lock").read_bytes() == lock
    ran, _ = workspace.build()
    assert ran == set()
    assert workspace.nothing_to_do()


def test_an_edit_of_the_configuration_counts_for_the_next_run(workspace):
    """The run that is under way ends with what it began with."""
    workspace.append("workflow_scripts/data/read.py", "# a comment\n")
    run = begin(workspace, TRAIN)
    wait_for(lambda: is_computing(workspace, "read"))
    workspace.set("sign: {recall: 0.9}")
    said, _ = run.communicate()
    assert run.returncode == 0, said
    assert set(steps_that_must_run(workspace)) == of_parts("sign")
    assert "settings" in workspace.dvc("status")


def test_two_runs_in_one_folder_are_one_too_many(workspace):
    workspace.set("pretrain: {training: {steps: 22}}")
    run = begin(workspace, "results/base")
    wait_for(lambda: is_computing(workspace, "pretrain"))
    said = workspace.snakemake(TRAIN, check=False)
    assert re.search(r"another Snakemake is at work in this folder: process \d+ on \S+ since", said)
    assert run.communicate() and run.returncode == 0
