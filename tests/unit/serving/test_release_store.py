import json
import shutil

import pytest

from ingot.errors import InputError
from ingot.serving import release_store
from ingot.serving.release_store import open_release


@pytest.fixture
def release(served_release, tmp_path):
    return shutil.copytree(served_release, tmp_path / "release")


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def edit(release, change):
    path = release / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_a_release_is_unpacked_once(release, store, monkeypatch):
    opened = open_release(release, store)
    assert set(opened.modifiers) == {"code", "reasoning"}
    assert opened.model.read_bytes()[:4] == b"GGUF"
    monkeypatch.setattr(release_store, "unpack_file", None)  # a second time would fail
    assert open_release(release, store).model == opened.model


def test_a_file_of_the_store_that_was_changed_is_unpacked_again(release, store):
    model = open_release(release, store).model
    model.chmod(0o600)
    whole = model.read_bytes()
    model.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert open_release(release, store).model.read_bytes() == whole
    model.chmod(0o600)
    model.write_bytes(whole[:1000])
    assert open_release(release, store).model.read_bytes() == whole


@pytest.mark.parametrize("name", ["packed/F16.gguf.zst", "router/model/classifier.json", "tokenizer/tokenizer.json"])
def test_a_changed_byte_is_refused_and_nothing_is_unpacked(release, store, name):
    path = release / "files" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="other bytes"):
        open_release(release, store)
    assert not store.exists()


def test_a_digest_that_is_a_path_is_refused(release, store, tmp_path):
    victim = tmp_path / "victim.gguf"
    victim.write_text("mine")

    def change(manifest):
        for file in manifest["files"]:
            if "unpacked" in file:
                file["unpacked"] = {"sha256": str(tmp_path / "victim"), "bytes": 4}

    edit(release, change)
    with pytest.raises(InputError, match="how to serve"):
        open_release(release, store)
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("key", ["tokenizer", "router", "detector"])
@pytest.mark.parametrize("name", ["/etc", "..", "files/other"])
def test_a_folder_that_is_not_in_the_release_is_refused(release, store, key, name):
    edit(release, lambda manifest: manifest["serving"].update({key: name}))
    with pytest.raises(InputError, match="how to serve"):
        open_release(release, store)


def test_a_release_that_names_files_outside_is_refused(release, store):
    edit(release, lambda manifest: manifest["serving"].update(model="../../etc/passwd"))
    with pytest.raises(InputError, match="how to serve"):
        open_release(release, store)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.pop("serving"),
        lambda manifest: manifest.update(serving=None),
        lambda manifest: manifest["serving"].pop("context"),
        lambda manifest: manifest["serving"].update(modifiers=3),
        lambda manifest: manifest["serving"].update(worth={"gold": 1}),
    ],
)
def test_a_release_that_does_not_say_how_to_serve_it_is_refused(release, store, change):
    edit(release, change)
    with pytest.raises(InputError, match="how to serve"):
        open_release(release, store)


def test_no_release_is_refused(tmp_path, store):
    with pytest.raises(InputError, match="manifest"):
        open_release(tmp_path, store)


def test_a_full_disk_is_named_and_leaves_nothing(release, store, monkeypatch):
    def full(packed, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(release_store, "unpack_file", full)
    with pytest.raises(InputError, match="No space left"):
        open_release(release, store)
    assert not list(store.glob("*.gguf"))
