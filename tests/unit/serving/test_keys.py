import pytest

from ingot.errors import InputError
from ingot.serving import keys
from ingot.serving.keys import Bucket, Client, KeyFile, Keys, add_key, digest, own_key, read_keys


class Clock:
    now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(keys, "time", clock)
    return clock


def test_a_bucket_lets_through_what_it_says_and_no_more(clock):
    bucket = Bucket(60, filled=0.0)
    for _ in range(60):
        assert bucket.wait(1) == 0
        bucket.take(1)
    assert bucket.wait(1) == pytest.approx(1)
    clock.now = 1.0
    assert bucket.wait(1) == 0


def test_who_took_more_than_there_was_waits_until_it_is_paid_back(clock):
    bucket = Bucket(60, filled=0.0)
    bucket.take(180)
    assert bucket.wait(1) == pytest.approx(121)
    clock.now = 121
    assert bucket.wait(1) == 0


def test_a_bucket_never_holds_more_than_a_minute(clock):
    bucket = Bucket(60, filled=0.0)
    clock.now = 10_000
    bucket.wait(1)
    assert bucket.level == 60


def test_requests_under_way_are_bounded():
    client = Client("a", None, None, most_at_a_time=2)
    assert [client.admit() for _ in range(3)] == [0, 0, 1]
    client.under_way -= 1
    assert client.admit() == 0


def test_keys_that_are_loaded_again_keep_what_is_left_of_limits_that_are_the_same():
    entries = [{"name": name, "sha256": digest(name), "tier": name} for name in ("a", "b")]

    def keys(of_b):
        tiers = {"a": {"requests_per_minute": 3, "requests_at_a_time": 2}, "b": {"requests_per_minute": of_b}}
        return Keys(KeyFile(tiers=tiers, keys=entries))

    old, new = keys(3), keys(4)
    for name in ("a", "b"):
        assert old.find(f"Bearer {name}").admit() == 0
    new.take_over(old)
    assert [new.find(f"Bearer {name}").left()["x-ratelimit-remaining-requests"] for name in ("a", "b")] == [2, 4]
    assert new.find("Bearer a").under_way == 1


def test_white_space_around_a_key_is_none_of_it(monkeypatch, tmp_path):
    monkeypatch.setenv("INGOT_API_KEY", " mine\n")
    key, _ = own_key(tmp_path / "keys.yaml")
    assert Keys(KeyFile(), key).find("Bearer mine")


def test_a_key_is_kept_as_its_digest_only(tmp_path):
    path = tmp_path / "new/keys.yaml"
    add_key(path, "me", "default", "secret text")
    assert "secret text" not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert Keys(read_keys(path)).find("Bearer secret text").name == "me"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic secret", "secret", "Bearer secret2"])
def test_without_the_key_nobody_is_found(header, tmp_path):
    path = tmp_path / "keys.yaml"
    add_key(path, "me", "default", "secret")
    assert Keys(read_keys(path)).find(header) is None


def test_the_key_of_the_first_start_is_shown_once(tmp_path, monkeypatch):
    monkeypatch.delenv("INGOT_API_KEY", raising=False)
    path = tmp_path / "keys.yaml"
    given, shown = own_key(path)
    assert given is None
    assert Keys(read_keys(path)).find(f"Bearer {shown}")
    assert own_key(path) == (None, None)
    monkeypatch.setenv("INGOT_API_KEY", "mine")
    assert own_key(path) == ("mine", None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keys: 3", "keys"),
        ("keys: [{name: a, sha256: abc}]", "keys.0.sha256"),
        ("tiers: {a: {requests_per_minute: 0}}", "tiers.a.requests_per_minute"),
        ("other: 1", "other"),
        ("{", "keys.yaml"),
    ],
)
def test_a_damaged_file_of_keys_is_named_with_the_place(text, said, tmp_path):
    path = tmp_path / "keys.yaml"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InputError, match=said):
        read_keys(path)


def test_a_file_of_keys_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "keys.yaml"
    path.write_text("keys: []")
    path.chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        read_keys(path)


def test_a_missing_tier_is_named():
    file = KeyFile.model_validate({"keys": [{"name": "a", "sha256": "0" * 64, "tier": "gold"}]})
    with pytest.raises(InputError, match="'gold'"):
        Keys(file)


def test_a_name_is_used_once(tmp_path):
    path = tmp_path / "keys.yaml"
    add_key(path, "me", "default", "a")
    with pytest.raises(InputError, match="'me'"):
        add_key(path, "me", "default", "b")
    assert len(read_keys(path).keys) == 1
