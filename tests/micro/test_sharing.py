"""The same build seen by DVC, by another clone, and with less than all of it: stories on copies of one micro build."""

import os
import re
import shutil

import pytest

from helpers.stories import LICENCE, MILDER, PRESET, RELEASE, TRAIN, agree, of_parts, share, steps_that_must_run
from helpers.workspaces import ROOT, Workspace, clone_of

pytestmark = pytest.mark.graph


# ------------------------------------------------------------------------------------------------------------ DVC


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_dvc_runs_the_graph_and_agrees(workspace, whole):
    """The whole graph, or the stages of it that changed: DVC takes half a second to look at a stage."""
    workspace.set(LICENCE)
    assert "settings" in workspace.dvc("status")
    if whole:
        said = workspace.dvc("repro")
        assert "Stage 'pretrain' didn't change, skipping" in said
    else:
        workspace.dvc("repro", "-s", "settings")
        said = workspace.dvc("repro", "-s", "release", "draw_plots")
    assert "Running stage 'release'" in said
    agree(workspace)
    changed = workspace.dvc("params", "diff")
    assert re.search(r"params.json +release.\S*licence +\S+ +MIT", changed), changed
    if not whole:
        return
    assert "perplexity" in workspace.dvc("metrics", "show", "--json")
    assert "index.html" in workspace.dvc("plots", "show")
    assert "measure_system" in workspace.dvc("dag")
    workspace.unset(LICENCE)
    assert workspace.build()[0] == set()
    agree(workspace)


def test_dvc_yaml_of_the_project_is_up_to_date():
    """What a reader of the repository sees is the graph of the default configuration."""
    done = Workspace(ROOT).call("python", "-m", "traced.pipeline", "--check", check=False)
    assert done == "", done


def test_garbage_collection_never_breaks_a_later_build(workspace):
    """After `dvc gc` old traces name bytes that are gone: such a step runs again, and nothing fails."""
    target = "results/packed/F16.gguf.zst"
    workspace.set(MILDER)
    workspace.build(target)
    assert "Removed" in workspace.dvc("gc", "--workspace", "--force")
    assert workspace.nothing_to_do(target)
    workspace.unset(MILDER)
    said = workspace.snakemake("--dry-run", target)
    assert "known, but neither cache nor remote has its bytes" in said
    ran, _ = workspace.build(target)
    assert ran == {"pack_F16"}
    agree(workspace)


def test_a_second_clone_restores_by_trace_and_fetches_only_what_is_needed(workspace, tmp_path):
    """No `dvc pull`: what dvc.lock names is found on the shared remote."""
    share(workspace, tmp_path / "shelf")
    clone = clone_of(workspace.folder, tmp_path / "clone")
    said = clone.snakemake("--dry-run")
    assert "traced: release: would be restored" in said
    ran, _ = clone.build()
    assert ran == set()
    assert (clone / RELEASE).read_bytes() == (workspace / RELEASE).read_bytes()
    assert not (clone / "results/base").exists()
    fetched = sum(path.stat().st_size for path in clone.folder.glob(".dvc/cache/files/**/*") if path.is_file())
    assert fetched < 1_200_000, "release, card, pages and plots"
    clone.set(MILDER)
    ran, _ = clone.build("results/packed/IQ4_XS.gguf.zst")
    assert ran == {"pack_IQ4_XS"}
    assert not (clone / "results/base").exists()


def test_the_same_over_ssh(workspace, tmp_path):
    from helpers.sshd import server, why_not

    if reason := why_not():
        pytest.skip(reason)
    with server(tmp_path / "sshd") as (port, key):
        url = f"ssh://127.0.0.1:{port}{tmp_path}/shelf"
        workspace.dvc("remote", "add", "-q", "-d", "shelf", url)
        workspace.dvc("remote", "modify", "-q", "shelf", "keyfile", key)
        workspace.dvc("push", "-q", "--run-cache")
        workspace.git("commit", "-q", "-a", "-m", "remote")
        clone = clone_of(workspace.folder, tmp_path / "clone")
        ran, _ = clone.build()
        assert ran == set()
        assert (clone / RELEASE).read_bytes() == (workspace / RELEASE).read_bytes()
        agree_without_intermediates = clone.nothing_to_do()
        assert agree_without_intermediates
    (clone / RELEASE).unlink()
    shutil.rmtree(clone / ".dvc/cache")
    said = clone.snakemake("--dry-run")
    assert "the remote cannot be used, only what is here is known" in said


# ---------------------------------------------------------------------------------------- with less than all of it


def test_without_git_and_without_a_remote(workspace):
    shutil.rmtree(workspace / ".git")
    workspace.append("workflow_scripts/data/split.py", "# a comment\n")
    ran, _ = workspace.build(TRAIN)
    assert ran == {"split"}
    assert workspace.nothing_to_do(TRAIN)


def test_with_the_scripts_in_a_folder_that_cannot_be_written(workspace, tmp_path):
    here = Workspace(tmp_path / "elsewhere")
    here.folder.mkdir()
    (here / "tests").symlink_to(workspace / "tests")  # whose files the preset names
    if os.geteuid() == 0:  # no mode stops root
        if not shutil.which("bwrap"):
            pytest.skip("no bwrap: on Debian, `apt-get install bubblewrap`")
        shut = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", workspace.folder, workspace.folder]
    else:
        shut = []
        for path in [workspace.folder, *workspace.folder.rglob("*")]:
            path.chmod(path.stat().st_mode & ~0o222)
    target = "results/data/parts/alpaca/alpaca_jsonl_0/filtered.jsonl"
    preset = f"preset={workspace / PRESET}"
    build = [*shut, "snakemake", "--cores", "2", "-s", workspace / "Snakefile", "--config", preset]
    assert here.call(*shut, "touch", workspace / "x", check=False).endswith(("Read-only file system\n", "denied\n"))
    here.call(*build, "--", target)
    assert (here / target).read_bytes() == (workspace / target).read_bytes()
    assert "Nothing to be done" in here.call(*build, "--dry-run", "--", target)


def test_why_names_the_setting_with_its_old_and_new_value(workspace):
    workspace.set("sign: {recall: 0.9}")
    change = {"kind": "setting", "what": "settings.recall", "old": 0.99, "new": 0.9}
    assert steps_that_must_run(workspace) == {name: [change] for name in of_parts("sign")}
    table = workspace.call("make", "why", f"TARGET={TRAIN}")
    assert len(re.findall(r"sign-\S+ +must run +setting settings.recall: 0.99 -> 0.9", table)) == 3
    assert re.search(r"decontaminate +waits for its inputs +reads what deduplicate will write", table)
    assert re.search(r"filter-\S+ +up to date", table)


def test_diverge_names_the_first_step_that_gave_other_bytes(workspace, tmp_path):
    lock = (workspace / "dvc.lock").read_text()
    (tmp_path / "a.lock").write_text(lock)
    (tmp_path / "b.lock").write_text(lock)
    compare = ["python", "-m", "traced.diverge", tmp_path / "a.lock", tmp_path / "b.lock"]
    assert workspace.call(*compare) == "equal\n"
    import yaml

    stages = yaml.safe_load(lock)["stages"]
    digest = next(out["md5"] for out in stages["recover"]["outs"] if out["path"] == "results/recovered")
    (tmp_path / "b.lock").write_text(lock.replace(digest, "0" * 32 + ".dir"))
    said = workspace.call(*compare, check=False)
    assert said.startswith("recover gave other bytes from equal inputs:\n  results/recovered: ")
