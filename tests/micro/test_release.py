"""A release that a stranger can check: signed, with its lineage, and not to be altered without being noticed."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from helpers.workspaces import ROOT

pytestmark = pytest.mark.graph


def ingot(work, *arguments, check=True):
    return work.call(sys.executable, "-m", "ingot.cli", *arguments, check=check)


@pytest.fixture(scope="module")
def signed(built_workspace, tmp_path_factory):
    """(workspace, its release signed, a copy of the release elsewhere, the public key)."""
    folder = tmp_path_factory.mktemp("signed")
    key = folder / "keys/mine.pem"
    key.parent.mkdir()
    work = type(built_workspace)(folder / "ingot")
    shutil.copytree(built_workspace.folder, work.folder, symlinks=True)
    said = ingot(work, "sign", "results/release", "--key", str(key))
    assert "made a key" in said and key.stat().st_mode & 0o777 == 0o600
    shutil.copytree(work / "results/release", folder / "received")
    return work, folder / "received", key.with_name("mine.pem.pub")


@pytest.fixture
def received(signed, tmp_path):
    shutil.copytree(signed[1], tmp_path / "received")
    return tmp_path / "received"


def verify(signed, release, *arguments, key=True):
    """Verify as a receiver, who is not in the folder of the build: what failed, by check, and all that was said."""
    from helpers.workspaces import Workspace

    keys = ["--key", str(signed[2])] if key else []
    said = ingot(Workspace(release.parent), "verify", release.name, *keys, "--json", *arguments, check=False)
    found = json.loads(said[said.index("{") :])
    return {one["check"]: one["said"] for one in found["checks"] if not one["passed"]}, found


@pytest.fixture(autouse=True)
def checkout(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    from helpers.workspaces import Workspace

    monkeypatch.setitem(Workspace.environment, "PYTHONPATH", str(ROOT))


def test_a_release_holds_all_that_its_manifest_names_and_passes_every_check(signed, received):
    failed, found = verify(signed, received)
    assert failed == {}
    assert [one["check"] for one in found["checks"]] == [
        "kinds of files", "signature", "files", "bill of materials", "lineage", "licences",
    ]  # fmt: skip
    names = {path.relative_to(received).as_posix() for path in received.rglob("*") if path.is_file()}
    assert {"files/packed/IQ4_XS.gguf.zst", "files/modifiers/code/lora.gguf.zst", "files/curation.html"} <= names
    bill = json.loads((received / "bom.cdx.json").read_text())
    assert bill["metadata"]["component"]["type"] == "machine-learning-model"
    assert {"base", "source:alpaca"} <= {one["bom-ref"] for one in bill["components"]}


def test_without_a_key_the_signature_is_not_taken_for_checked(signed, received):
    failed, _ = verify(signed, received, key=False)
    assert list(failed) == ["signature"]


def flip(path):
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])


@pytest.mark.parametrize(
    ("harm", "checks"),
    [
        (lambda folder: flip(folder / "files/packed/IQ4_XS.gguf.zst"), {"files", "lineage"}),
        (lambda folder: (folder / "files/router/model/more").write_text("x"), {"files", "lineage"}),
        (lambda folder: (folder / "notes.txt").write_text("x"), {"files", "lineage"}),
        (lambda folder: (folder / "files/curation.html").unlink(), {"files"}),
        (lambda folder: flip(folder / "bom.cdx.json"), {"bill of materials"}),
        (lambda folder: (folder / "figures.json").write_text("[]"), {"bill of materials", "lineage"}),
        (lambda folder: (folder / "lineage.jsonl").write_text("{}\n"), {"lineage"}),
        (lambda folder: (folder / "lineage.jsonl").write_text("[" * 100_000), {"lineage"}),
        (lambda folder: without(folder, "read"), {"lineage", "licences"}),
        (lambda folder: (folder / "MODEL_CARD.md").write_text("It is perfect.\n"), {"lineage"}),
        (lambda folder: (folder / "model.sig").unlink(), set()),
        (lambda folder: (folder / "model.sig").write_text("{}"), set()),
    ],
)  # fmt: skip
def test_whatever_is_altered_is_noticed(signed, received, harm, checks):
    """By the check that it concerns, for those who have no key; `signature` fails without one anyway."""
    harm(received)
    assert set(verify(signed, received, key=False)[0]) == {"signature"} | checks


@pytest.mark.parametrize("name", ["files/packed/IQ4_XS.gguf.zst", "ledger.md", "lineage.jsonl"])
def test_one_changed_byte_is_noticed_by_the_signature(signed, received, name):
    flip(received / name)
    assert set(verify(signed, received)[0]) == {"signature"}


def without(folder, rule):
    """Leave the steps of a rule out of the lineage."""
    lines = (folder / "lineage.jsonl").read_text().splitlines()
    (folder / "lineage.jsonl").write_text("\n".join(line for line in lines if f'"rule": "{rule}"' not in line) + "\n")


@pytest.mark.parametrize("name", ["lineage.jsonl", "manifest.json", "files/odd"])
def test_nothing_but_plain_files_is_opened(signed, received, name):
    (received / name).unlink(missing_ok=True)
    os.mkfifo(received / name)
    assert set(verify(signed, received)[0]) == {"kinds of files"}


def test_code_that_lies_in_a_release_does_not_run(signed, received):
    (received / "argparse.py").write_text("open('PWNED', 'w')\n")
    command = [ROOT / "bin/ingot", "verify", ".", "--key", signed[2]]
    environment = {**os.environ, "INGOT_VENVS": str(ROOT / ".venvs")}
    said = subprocess.run(command, cwd=received, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 1 and "FAILED  signature" in said.stdout, said.stdout + said.stderr
    assert not (received / "PWNED").exists()


def test_a_manifest_that_lies_about_a_licence_or_leads_out_is_noticed(signed, received):
    manifest = json.loads((received / "manifest.json").read_text())
    manifest["base"]["licence"] = "MIT"
    manifest["sources"]["alpaca"]["licence"] = None
    manifest["files"].append({"path": "../outside", "bytes": 1, "sha256": "0" * 64})
    (received / "manifest.json").write_text(json.dumps(manifest))
    failed, _ = verify(signed, received, key=False)
    assert set(failed) == {"signature", "files", "bill of materials", "lineage", "licences"}
    assert "'MIT' in the manifest and was 'Apache-2.0' in the build" in failed["licences"]
    assert "the licence of the source alpaca is not stated" in failed["licences"]
    assert "'../outside' would be outside" in failed["files"]


def test_a_signature_of_another_key_is_none(signed, received):
    work, _, _ = signed
    other = received.with_name("other.pem")
    ingot(work, "sign", "results/release", "--key", str(other))
    failed, _ = verify((*signed[:2], other.with_name("other.pem.pub")), received)
    assert list(failed) == ["signature"]


def test_a_key_inside_of_the_release_is_refused(signed):
    said = ingot(signed[0], "sign", "results/release", "--key", "results/release/mine.pem", check=False)
    assert "must not be in the release" in said
    assert not (signed[0] / "results/release/mine.pem").exists()


def test_what_would_not_pass_is_not_signed(signed):
    (signed[0] / "results/release/.env").write_text("secret")
    said = ingot(signed[0], "sign", "results/release", "--key", str(signed[2].with_suffix("")), check=False)
    (signed[0] / "results/release/.env").unlink()
    assert "would not pass" in said and ".env: a release has no such file" in said


@pytest.mark.parametrize("harm", ["open to others", "of another kind"])
def test_a_key_that_others_read_or_of_another_kind_is_refused(signed, harm, tmp_path):
    key = tmp_path / "key.pem"
    kind = (
        ["-algorithm", "RSA"]
        if harm == "of another kind"
        else ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    )
    subprocess.run(["openssl", "genpkey", *kind, "-out", key], check=True, capture_output=True)
    key.chmod(0o644 if harm == "open to others" else 0o600)
    said = ingot(signed[0], "sign", "results/release", "--key", str(key), check=False)
    assert "Traceback" not in said
    assert ("others may read it" if harm == "open to others" else "cannot sign") in said


def test_verify_says_which_steps_this_clone_rebuilt_bit_for_bit(signed, received):
    work, _, key = signed
    work.snakemake("--forcerun", "ledger", "--", "results/release/ledger.json")
    said = ingot(work, "verify", str(received), "--key", str(key))
    assert "1 of" in said and "steps were rebuilt here bit for bit" in said


def test_what_is_published_arrives_and_passes_every_check(signed, tmp_path, monkeypatch):
    """As owner and receiver do it, with huggingface_hub as it is locked, and a hub on loopback."""
    from helpers.hub import hub_on_loopback
    from helpers.workspaces import Workspace

    work, _, key = signed
    with hub_on_loopback() as hub:
        for name, value in hub.environment(tmp_path / "home").items():
            monkeypatch.setitem(Workspace.environment, name, value)
        ingot(work, "sign", "results/release", "--key", str(key.with_suffix("")))
        said = ingot(work, "publish", "team/small", "results/release", "--public")
        assert f"{hub.url}/team/small" in said
        program = "import sys, huggingface_hub as h; h.snapshot_download('team/small', local_dir=sys.argv[1])"
        python = work.call(sys.executable, str(ROOT / "envs/build.py"), "hub").split()[-1]
        work.call(f"{python}/bin/python", "-c", program, str(tmp_path / "received"))
    names = {path.name for path in (tmp_path / "received").iterdir()}
    assert {"README.md", ".gitattributes", ".cache", "model.sig"} <= names
    release = work / "results/release"
    for path in release.rglob("*"):
        if path.is_file():
            assert (tmp_path / "received" / path.relative_to(release)).read_bytes() == path.read_bytes()
    failed, _ = verify(signed, tmp_path / "received")
    assert failed == {}
    (tmp_path / "received/files/.cache").mkdir()
    (tmp_path / "received/files/.cache/README.md").write_text("more")
    assert set(verify(signed, tmp_path / "received")[0]) == {"signature"}
