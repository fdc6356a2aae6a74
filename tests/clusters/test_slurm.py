"""Data and base of the micro build through a real Slurm of one node with a made-up GPU: cold, with kills, and warm."""

import os
import random
import re
import shutil
import signal
import subprocess
import time

import pytest

from clusters import slurm
from helpers.workspaces import ENVIRONMENT, clone_of

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(slurm.why_not() is not None, reason=slurm.why_not() or ""),
]

SNAKEMAKE = [
    "snakemake", "--profile", "profiles/slurm", "--slurm-no-account", "--slurm-status-command", "squeue",
    "--slurm-init-seconds-before-status-checks", "6", "--latency-wait", "10",
]  # fmt: skip
# All of the data, and the base beside it, which asks for a GPU.
TARGETS = ["results/curation.html", "results/base"]
USES_GPU = {"pretrain", "adapt", "prune", "recover", "quantize_awq", "importance", "train_modifier", "measure"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The variables with which Slurm's commands find the cluster."""
    with slurm.cluster(tmp_path_factory.mktemp("slurm") / "site") as variables:
        yield {"SLURM_CONF": variables["SLURM_CONF"]}


@pytest.fixture(scope="module")
def workspace(start, tmp_path_factory):
    """A clone whose GPU rules ask for a GPU, and for the partition that has it."""
    workspace = clone_of(start.folder, tmp_path_factory.mktemp("clone") / "ingot")
    workspace.append("config.yaml", "resources: {gpu: 1, memory_mb: 3000, minutes: 30, partition: gpu}\n")
    workspace.call("python", "-m", "traced.pipeline")
    return workspace


def submitted(workspace, site):
    """{Slurm's job number: what it is known of the job} of all jobs since the cluster was started."""
    said = workspace.call("scontrol", "show", "job", "--oneliner", check=False, **site)
    return {int(found.group(1)): line for line in said.splitlines() if (found := re.match(r"JobId=(\d+)", line))}


def begin(workspace, site, *targets):
    return subprocess.Popen(
        [*SNAKEMAKE, *targets], cwd=workspace.folder, env=ENVIRONMENT | site,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def kill_now_and_then(workspace, site, times):
    """Start the build and kill its scheduler or one of its jobs on the node, so many times."""
    chance = random.Random(1)
    for attempt in range(times):
        run = begin(workspace, site, *TARGETS)
        time.sleep(chance.uniform(8, 22))
        if attempt % 2:
            listed = subprocess.run(
                ["pgrep", "-f", "-m ingot.workflow.entry"], capture_output=True, text=True, check=False
            )
            ours = [pid for pid in listed.stdout.split() if os.readlink(f"/proc/{pid}/cwd") == str(workspace.folder)]
            if ours:
                os.kill(int(chance.choice(ours)), signal.SIGKILL)
                said, _ = run.communicate()
                assert run.returncode == 1, said
                continue
        run.kill()
        run.communicate()


def test_the_build_cold_with_kills_is_that_of_this_machine(workspace, site, request):
    kill_now_and_then(workspace, site, 2)
    said = workspace.call(*SNAKEMAKE, *TARGETS, **site)
    assert "100%) done" in said
    here, there = workspace.outs(), request.getfixturevalue("micro_outs")
    assert len(here) > 25
    assert {path for path, digest in here.items() if there[path] != digest} == set()
    assert workspace.nothing_to_do(*TARGETS)


def test_gpu_rules_asked_for_their_gpu(workspace, site):
    seen = set()
    for line in submitted(workspace, site).values():
        rule = re.search(r"Comment=rule_(\w+?)(_wildcards\S*)? ", line).group(1)
        rule = max((name for name in USES_GPU if rule.startswith(name)), key=len, default=None) or rule
        uses = rule in USES_GPU and "measure_gguf" not in line and "measure_system" not in line
        assert ("gres:gpu" in line or "gres/gpu" in line) == uses, line
        assert ("Partition=gpu" in line) == uses, line
        assert re.search(r"TimeLimit=00:30:00" if uses else r"TimeLimit=01:00:00", line), line
        assert "mem=3" in line or not uses, line
        seen.add(rule)
    assert seen >= {"pretrain", "split"}


def test_logs_are_where_they_are_without_a_cluster(workspace):
    assert {"read_alpaca_alpaca_jsonl_0", "pretrain", "report_curation"} <= set(workspace.logs())
    assert (workspace / "logs/slurm").is_dir()


def test_a_warm_cache_needs_no_submission(workspace, site):
    before = submitted(workspace, site)
    page = (workspace / TARGETS[0]).read_bytes()
    shutil.rmtree(workspace / "results")
    said = workspace.call(*SNAKEMAKE, *TARGETS, **site)
    assert "traced: report_curation: restored" in said
    assert (workspace / TARGETS[0]).read_bytes() == page
    workspace.append("workflow_scripts/data/deduplicate.py", "# a comment\n")
    said = workspace.call(*SNAKEMAKE, *TARGETS, **site)
    assert "decontaminate: its inputs are as before, so it need not run" in said
    new = set(submitted(workspace, site)) - set(before)
    assert len(new) == 1, "only that step was handed to Slurm"


def test_a_configuration_edited_before_a_job_starts_is_refused(workspace, site):
    """A node reads the configuration again when its job begins: what it then does is not what was planned."""
    workspace.call("scontrol", "update", "PartitionName=cpu", "State=DOWN", **site)
    workspace.set("detector: {examples: 210}")
    run = begin(workspace, site, "results/router/detector")
    for _ in range(300):
        if "PENDING" in workspace.call("squeue", "--noheader", "--format=%T", **site):
            break
        time.sleep(0.2)
    workspace.edit("config.yaml", "examples: 210", "examples: 220")
    workspace.call("scontrol", "update", "PartitionName=cpu", "State=UP", **site)
    said, _ = run.communicate()
    assert run.returncode == 1
    assert "train_detector: the job did not run with what it was planned with" in said
    workspace.call(*SNAKEMAKE, "results/router/detector", **site)
    assert workspace.nothing_to_do("results/router/detector")
