"""What the stories about a build on its way say again and again."""

import json

PRESET = "tests/micro/preset.yaml"
MILDER = "pack: {level: 5}"
LICENCE = "base: {licence: MIT}"
TRAIN = "results/data/train.jsonl"
RELEASE = "results/release/manifest.json"


def agree(workspace):
    """Snakemake and DVC both find that there is nothing to do."""
    assert workspace.nothing_to_do()
    assert "Data and pipelines are up to date" in workspace.dvc("status")


def files(folder):
    """{path: (content, time of change)} of what a person sees in a folder."""
    hidden = {".dvc", ".snakemake", ".git", "__pycache__"}
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not hidden.intersection(path.relative_to(folder).parts)
    }


def share(workspace, remote):
    """Push everything of a workspace to a new remote; return a URL-less remote's folder."""
    workspace.dvc("remote", "add", "-q", "-d", "shelf", remote)
    workspace.git("commit", "-q", "-a", "-m", "remote")
    workspace.dvc("push", "-q", "--run-cache")


def of_parts(step):
    """The steps of this name: one for each source of the preset."""
    parts = ("alpaca_jsonl_0-alpaca", "messages_jsonl_gz_0-messages", "question_jsonl_zst_0-question")
    return {f"{step}-{part}" for part in parts}


def steps_that_must_run(workspace):
    """{step: its changes} of the steps whose own code, environment, settings or given inputs differ, by `make why`."""
    rows = json.loads(workspace.call("python", "-m", "traced.why", "--json"))
    return {row["step"]: row["changes"] for row in rows if row["changes"]}
