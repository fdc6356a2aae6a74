"""Publishing on a hub: all of a release or nothing, and nothing that should stay here."""

import json
import random
import subprocess
import sys

import pytest
import yaml
import zstandard

from helpers.figures import figures
from helpers.hub import TOKEN, hub_on_loopback
from helpers.workspaces import ENVIRONMENT, ROOT
from ingot.errors import InputError
from ingot.io.container import pack_file, sha256
from ingot.io.records import write_json
from ingot.release import leaks
from ingot.release.hub import licence_fields
from ingot.release.licences import is_free, objections

REPOSITORY = "team/small-model"


@pytest.fixture
def release(tmp_path):
    """A release whose files are large enough for LFS, with the figures of a whole build."""
    folder = tmp_path / "release"
    r = random.Random(0)
    contents = {
        "files/packed/IQ4_XS.gguf.zst": zstandard.compress(r.randbytes(30_000)),
        "files/modifiers/code/lora.gguf.zst": zstandard.compress(r.randbytes(20_000)),
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


def rewrite(release, change):
    """Change the manifest, wherever it stands."""
    manifest = json.loads((release / "manifest.json").read_text())
    change(manifest)
    write_json(release / "manifest.json", manifest)
    whole = json.loads((release / "figures.json").read_text())
    write_json(release / "figures.json", {**whole, "manifest": manifest})


def relicensed(release, base=None, source=None):
    def change(manifest):
        if base is not None:
            manifest["base"]["licence"] = base
        if source is not None:
            manifest["sources"]["alpaca"]["licence"] = source

    rewrite(release, change)


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
    kept = lambda files: [file for file in files if "curation" not in file["path"]]  # noqa: E731
    rewrite(release, lambda manifest: manifest.update(files=kept(manifest["files"])))
    status, _, wrong = publish(hub, release)
    assert status == 0, wrong
    assert len(hub.puts) == sent + 1, "figures.json, which holds the manifest, is new; the models are not"
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


OWN = "a välue that only this machine knows"
SECRETS = ["hf_" + "a1B2" * 9, OWN, TOKEN, "http://me:pass@judge.local/v1"]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_stays_here_and_is_not_repeated(hub, release, secret):
    (release / "ledger.md").write_text(f"x {secret} y\n")
    status, said, wrong = publish(hub, release, MY_API_KEY=OWN)
    assert status == 1 and "ledger.md" in wrong
    assert secret not in said + wrong
    assert hub.repositories == {}


def test_a_secret_in_the_text_of_a_licence_stays_here(hub, release, tmp_path):
    (tmp_path / "licence").write_text("hf_" + "a1B2" * 9)
    status, _, wrong = publish(hub, release, "--licence", str(tmp_path / "licence"))
    assert status == 1 and "LICENSE: a secret" in wrong
    assert hub.repositories == {}


def test_a_secret_inside_a_packed_file_is_found(tmp_path):
    (tmp_path / "model.zst").write_bytes(zstandard.compress(b"general.name " * 99 + b"AKIAABCDEFGHIJKLMNOP " * 9))
    assert list(leaks.leaks({"m": tmp_path / "model.zst"}, {})) == ["m: a secret of the kind 'AWS key'"]
    (tmp_path / "model.gguf").write_bytes(b"general.name " * 99 + b"AKIAABCDEFGHIJKLMNOP " * 9)
    pack_file(tmp_path / "model.gguf", tmp_path / "model.gguf.zst", 3, 1)
    assert list(leaks.leaks({"m": tmp_path / "model.gguf.zst"}, {})) == ["m: a secret of the kind 'AWS key'"]
    (tmp_path / "other.zst").write_bytes(b"no frame of zstd")
    with pytest.raises(InputError, match=r"m: it cannot be unpacked"):
        list(leaks.leaks({"m": tmp_path / "other.zst"}, {}))


def test_a_secret_across_two_chunks_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(leaks, "CHUNK", 5000)
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"x " * 2490 + b"AKIAABCDEFGHIJKLMNOP" + b" x" * 4000)
    assert list(leaks.leaks({"m": path}, {})) == ["m: a secret of the kind 'AWS key'"]


def test_a_place_of_this_machine_stays_here(hub, release):
    rewrite(release, lambda manifest: manifest["base"].update(model="/data/somebody/model"))
    status, _, wrong = publish(hub, release)
    assert status == 1 and "manifest.json: /data/somebody/model" in wrong and "link them" in wrong
    rewrite(release, lambda manifest: manifest["base"].update(model="models/mine"))
    (release / "ledger.md").write_text(f"file://{ROOT}/models")
    status, _, wrong = publish(hub, release)
    assert status == 1 and "ledger.md: the path of the project" in wrong
    assert hub.repositories == {}


def test_a_repository_of_somebody_else_is_left_alone(hub, release):
    files = {"thesis.tex": b"x", ".gitattributes": b""}
    hub.repositories[REPOSITORY] = {"private": True, "files": files, "commits": 3}
    status, _, wrong = publish(hub, release)
    assert status == 1 and "holds something else" in wrong
    assert hub.repositories[REPOSITORY]["files"] == files


def test_what_is_public_gets_nothing_without_being_told(hub, release):
    hub.repositories[REPOSITORY] = {"private": False, "files": {"README.md": b""}, "commits": 1}
    status, _, wrong = publish(hub, release)
    assert status == 1 and "say --public" in wrong
    assert publish(hub, release, "--public")[0] == 0
    assert "manifest.json" in hub.repositories[REPOSITORY]["files"]


def test_a_gitignore_on_the_hub_would_leave_out_files(hub, release):
    assert publish(hub, release)[0] == 0
    hub.repositories[REPOSITORY]["files"][".gitignore"] = b"*.zst"
    status, _, wrong = publish(hub, release)
    assert status == 1 and ".gitignore" in wrong


def test_what_signing_added_to_an_earlier_build_stays_here(hub, release):
    digest = sha256(release / "manifest.json")
    for name in ("bom.cdx.json", "model.sig"):
        (release / name).write_text("{}")
    subject = {"name": "results/release/manifest.json", "digest": {"sha256": "0" * 64}}
    (release / "lineage.jsonl").write_text(json.dumps({"subject": [subject]}) + "\n")
    status, _, wrong = publish(hub, release)
    assert status == 1 and "lineage.jsonl: it is of another build" in wrong
    subject["digest"]["sha256"] = digest
    (release / "lineage.jsonl").write_text(json.dumps({"subject": [subject]}) + "\n")
    assert publish(hub, release)[0] == 0
    assert "--key FILE" in hub.repositories[REPOSITORY]["files"]["README.md"].decode()
    (release / "model.sig").unlink()
    status, _, wrong = publish(hub, release)
    assert status == 1 and "model.sig: missing" in wrong


def test_the_mark_of_snakemake_does_not_go_and_does_no_harm(hub, release):
    (release / "files/.snakemake_timestamp").write_text("")
    status, _, wrong = publish(hub, release)
    assert status == 0, wrong
    assert "files/.snakemake_timestamp" not in hub.repositories[REPOSITORY]["files"]


def test_figures_of_no_release_are_told(hub, release):
    (release / "figures.json").write_text("[]")
    status, _, wrong = publish(hub, release, "--dry-run")
    assert status == 1 and "no page can be made" in wrong and "Traceback" not in wrong


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
        ("Llama 3.2 Community License", None, "a name like Llama..."),
        ("META LLAMA 3 COMMUNITY LICENSE AGREEMENT", None, "a name like Llama-3..."),
        ("llama3.2", None, "name the file with its text by --licence"),
        ("Gemma Terms of Use, non commercial", None, "does not let everybody use"),
        (None, "Llama 3.1 Community License", "a name like Llama..."),
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
    status, _, wrong = publish(hub, release, "--public")
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
    assert b"Llama 3.2 is licensed under the Llama 3.2 Community License" in repository["files"]["NOTICE"]


@pytest.mark.parametrize(
    "licence",
    ["Apache-2.0", "mit", "MIT AND CC-BY-4.0", "(MIT OR Apache-2.0)", "MIT OR CC-BY-NC-4.0",
     "Apache-2.0 WITH LLVM-exception"],
)  # fmt: skip
def test_free_licences_raise_no_objection(licence):
    manifest = {"base": {"licence": licence}, "sources": {"a": {"licence": licence}}}
    assert list(objections(manifest, "small-model", [], text=False)) == []
    assert is_free(licence)


def test_the_hub_is_told_a_licence_by_a_name_that_it_has():
    """It refuses a page with another, such as odc-by-1.0 or mit-0."""
    assert licence_fields("ODC-By-1.0", False) == {"license": "odc-by"}
    assert licence_fields("MIT-0", False) == {"license": "other", "license_name": "mit-0"}
    assert licence_fields("My own: Licence 2", True)["license_name"] == "my-own-licence-2"
    assert licence_fields("Llama 3.3 Community License", True) == {"license": "llama3.3"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["name", "RELEASE"], "it has the form OWNER/NAME"),
        (["a/x--y", "RELEASE"], "a/x--y"),
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
    assert "set HF_TOKEN" in wrong
    status, _, wrong = publish(hub, release, HF_ENDPOINT="http://127.0.0.1:9")
    assert status == 1 and "http://127.0.0.1:9" in wrong and "Traceback" not in wrong
    assert TOKEN not in wrong
