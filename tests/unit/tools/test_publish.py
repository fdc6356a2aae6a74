"""Publishing on a hub: all of a release or nothing, and nothing that should stay here."""

import json
import subprocess
import sys

import pytest
import yaml

from helpers.figures import figures
from helpers.hub import TOKEN, hub_on_loopback
from helpers.workspaces import ENVIRONMENT, ROOT
from ingot.io.container import sha256
from ingot.io.records import write_json
from ingot.release.licences import objections

REPOSITORY = "team/small-model"


@pytest.fixture
def release(tmp_path):
    """A release whose files are large enough for LFS, with the figures of a whole build."""
    folder = tmp_path / "release"
    contents = {
        "files/packed/IQ4_XS.gguf.zst": b"the base" * 4000,
        "files/modifiers/code/lora.gguf.zst": b"a modifier" * 2000,
        "files/curation.html": b"<p>records</p>",
    }
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    whole = figures()
    manifest = whole["manifest"]
    manifest["sources"] = {"alpaca": {"records": 4221, "licence": "CC-BY-4.0"}}
    manifest["files"] = [
        {"path": name, "bytes": len(content), "sha256": sha256(folder / name)} for name, content in contents.items()
    ]
    write_json(folder / "manifest.json", manifest)
    write_json(folder / "figures.json", whole)
    (folder / "MODEL_CARD.md").write_text("# Model card: ingot-tiny\n\nWhat it can do.\n")
    return folder


@pytest.fixture
def hub():
    with hub_on_loopback() as running:
        yield running


def command(release, *arguments):
    return [sys.executable, "-m", "ingot.tools.publish", REPOSITORY, str(release), *arguments]


def publish(hub, release, *arguments, **variables):
    """Publish as a person does; return (exit status, standard output, standard error)."""
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), **hub.environment(release.parent / "home"), **variables}
    done = subprocess.run(command(release, *arguments), env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def relicensed(release, base=None, source=None):
    manifest = json.loads((release / "manifest.json").read_text())
    if base is not None:
        manifest["base"]["licence"] = base
    if source is not None:
        manifest["sources"]["alpaca"]["licence"] = source
    write_json(release / "manifest.json", manifest)


def test_a_dry_run_lists_what_would_go_and_asks_nobody(hub, release):
    status, said, wrong = publish(hub, release, "--dry-run")
    assert status == 0, wrong
    assert "files/packed/IQ4_XS.gguf.zst" in said and "README.md" in said
    assert f"would go to {REPOSITORY}, private" in said
    assert hub.calls == []
    status, said, _ = publish(hub, release, "--dry-run", "--json")
    files = {one["path"]: one for one in json.loads(said)["files"]}
    name = "files/packed/IQ4_XS.gguf.zst"
    assert files[name]["sha256"] == sha256(release / name)


def test_a_release_arrives_whole_and_its_page_says_what_it_is(hub, release):
    status, said, wrong = publish(hub, release)
    assert status == 0, wrong
    repository = hub.repositories[REPOSITORY]
    assert repository["private"] and repository["commits"] == 1
    for path in release.rglob("*"):
        if path.is_file():
            assert repository["files"][path.relative_to(release).as_posix()] == path.read_bytes()
    _, front, card = repository["files"]["README.md"].decode().split("---\n", 2)
    fields = yaml.safe_load(front)
    assert fields["license"] == "apache-2.0" and fields["pipeline_tag"] == "text-generation"
    values = [metric["value"] for result in fields["model-index"][0]["results"] for metric in result["metrics"]]
    assert 93.8 in values
    assert "What it can do." in card and f"hf download {REPOSITORY}" in card
    assert f"{hub.url}/{REPOSITORY}" in said


def test_a_second_release_takes_the_place_of_the_first_and_sends_only_what_is_new(hub, release):
    publish(hub, release)
    sent = len(hub.puts)
    (release / "files/curation.html").unlink()
    manifest = json.loads((release / "manifest.json").read_text())
    manifest["files"] = [file for file in manifest["files"] if "curation" not in file["path"]]
    write_json(release / "manifest.json", manifest)
    status, _, wrong = publish(hub, release)
    assert status == 0, wrong
    assert len(hub.puts) == sent
    files = hub.repositories[REPOSITORY]["files"]
    assert "files/curation.html" not in files and ".gitattributes" in files
    assert publish(hub, release)[0] == 0
    assert hub.repositories[REPOSITORY]["commits"] == 2, "nothing was new"


def test_what_was_sent_before_a_kill_is_not_sent_again(hub, release):
    hub.hold_after = 1
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), **hub.environment(release.parent / "home")}
    process = subprocess.Popen(command(release), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert hub.held.wait(60)
    process.kill()
    process.wait()
    assert hub.repositories[REPOSITORY]["files"] == {}, "nobody sees half a release"
    first = list(hub.puts)
    hub.hold_after = None
    status, _, wrong = publish(hub, release)
    assert status == 0, wrong
    assert len(first) == 1 and hub.puts.count(first[0]) == 1
    assert "files/packed/IQ4_XS.gguf.zst" in hub.repositories[REPOSITORY]["files"]


@pytest.mark.parametrize("secret", ["hf_" + "a1B2" * 9, "a value that only this machine knows"])
def test_a_secret_stays_here_and_is_not_repeated(hub, release, secret):
    (release / "ledger.md").write_text(f"x {secret} y\n")
    status, said, wrong = publish(hub, release, MY_API_KEY="a value that only this machine knows")
    assert status == 1 and "ledger.md" in wrong and "secret" in wrong
    assert secret not in said + wrong
    assert hub.repositories == {}


def test_a_secret_across_two_chunks_is_found(tmp_path, monkeypatch):
    from ingot.release import leaks

    monkeypatch.setattr(leaks, "CHUNK", 5000)
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"x " * 2490 + b"AKIAABCDEFGHIJKLMNOP" + b" x" * 4000)
    assert list(leaks.leaks({"m": path}, {})) == ["m: a secret of the kind 'AWS key'"]


def test_a_place_of_this_machine_stays_here(hub, release):
    (release / "lineage.jsonl").write_text('{"base": "/home/somebody/model"}\n')
    status, _, wrong = publish(hub, release)
    assert status == 1 and "/home/somebody/model" in wrong
    assert hub.repositories == {}


def test_a_damaged_release_stays_here(hub, release):
    (release / "files/curation.html").write_text("<p>other!!</p>")
    status, _, wrong = publish(hub, release)
    assert status == 1 and "files/curation.html: other bytes" in wrong
    assert hub.repositories == {}


@pytest.mark.parametrize(
    ("base", "source", "said"),
    [
        (None, "CC-BY-NC-4.0", "does not let everybody use"),
        (None, "not stated", "is not stated"),
        ("My own licence", None, "--accept 'My own licence'"),
        ("Llama 3.2 Community License", None, "a name that begins with 'Llama'"),
        ("Llama 3.2 Community License", None, "name the file with its text by --licence"),
        ("Gemma Terms of Use", None, "name the file with its text by --licence"),
        ("MIT AND Sleepycat", None, "is not known here"),
    ],
)
def test_a_licence_may_forbid_to_make_it_public(hub, release, base, source, said):
    relicensed(release, base, source)
    status, _, wrong = publish(hub, release, "--public")
    assert status == 1 and said in wrong
    assert hub.repositories == {}
    status, _, wrong = publish(hub, release)
    assert status == 0 and said in wrong, "a private repository gives it to nobody, but is told"
    hub.repositories[REPOSITORY]["private"] = False
    status, _, wrong = publish(hub, release)
    assert status == 1 and said in wrong, "what is public already counts as public"


def test_a_licence_that_goes_along_and_one_that_was_read_are_accepted(hub, release, tmp_path):
    relicensed(release, "Llama 3.2 Community License", "Terms of our customer")
    (tmp_path / "llama.txt").write_text("LLAMA 3.2 COMMUNITY LICENSE AGREEMENT ...")
    told = ["--public", "--licence", str(tmp_path / "llama.txt"), "--accept", "Terms of our customer"]
    arguments = [sys.executable, "-m", "ingot.tools.publish", "team/Llama-small", str(release), *told]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), **hub.environment(tmp_path / "home")}
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    repository = hub.repositories["team/Llama-small"]
    assert not repository["private"]
    assert repository["files"]["LICENSE"].startswith(b"LLAMA 3.2")
    page = repository["files"]["README.md"].decode()
    assert "license: llama3.2" in page and "Built with Llama" in page


@pytest.mark.parametrize("licence", ["Apache-2.0", "MIT AND CC-BY-4.0", "(MIT OR Apache-2.0)"])
def test_free_licences_raise_no_objection(licence):
    manifest = {"base": {"licence": licence}, "sources": {"a": {"licence": licence}}}
    assert list(objections(manifest, REPOSITORY, [], text=False)) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["name", "RELEASE"], "it has the form OWNER/NAME"),
        (["a/b", "nowhere"], "nowhere/manifest.json"),
        (["a/b", "RELEASE", "--licence", "nowhere"], "there is no such file"),
    ],
)
def test_what_is_misnamed_is_told(hub, release, arguments, said):
    words = [str(release) if word == "RELEASE" else word for word in arguments]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), **hub.environment(release.parent / "home")}
    whole = [sys.executable, "-m", "ingot.tools.publish", *words]
    done = subprocess.run(whole, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
    assert hub.calls == []


def test_a_hub_that_refuses_or_is_not_there_is_told_in_a_line(hub, release):
    status, _, wrong = publish(hub, release, HF_TOKEN="hf_wrong")
    assert status == 1 and hub.url in wrong and "Traceback" not in wrong
    status, _, wrong = publish(hub, release, HF_ENDPOINT="http://127.0.0.1:9")
    assert status == 1 and "http://127.0.0.1:9" in wrong and "Traceback" not in wrong
    assert TOKEN not in wrong
