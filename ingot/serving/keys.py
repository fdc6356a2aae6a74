"""Who may ask, and how much: keys that are only known by their digest, and buckets that fill up again."""

import hashlib
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingot.errors import InputError

VARIABLE = "INGOT_API_KEY"


class Strict(BaseModel):
    """A section that knows all of its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Tier(Strict):
    """How much the owner of a key may ask for; null: without limit."""

    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    requests_at_a_time: int | None = Field(default=None, ge=1)


class KeyEntry(Strict):
    """A key: a name for the logs, the SHA-256 of the key, and its tier."""

    name: str = Field(pattern=r"^[\w.-]{1,64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    tier: str = "default"


class KeyFile(Strict):
    """The file of keys."""

    tiers: dict[str, Tier] = {}
    keys: list[KeyEntry] = []


@dataclass
class Bucket:
    """Fills up by `per_minute` each minute, and holds as much. What turns out to have cost more is owed.

    What an answer costs is known when it has ended. So a request is let in while anything is there, and its tokens are
    taken afterwards. Whoever owes waits until that is paid back. Libraries for rates know no debt.
    """

    per_minute: float
    level: float = field(init=False)
    filled: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Begin with a full bucket."""
        self.level = self.per_minute

    def wait(self, wanted: float) -> float:
        """Return after how many seconds so much will be there; 0 if it is."""
        now = time.monotonic()
        self.level = min(self.per_minute, self.level + (now - self.filled) * self.per_minute / 60)
        self.filled = now
        return max(0.0, (min(wanted, self.per_minute) - self.level) * 60 / self.per_minute)

    def take(self, amount: float) -> None:
        """Take so much out, even if less is there."""
        self.level -= amount


@dataclass(eq=False)
class Client:
    """Whoever holds a key, with what is left for it."""

    name: str
    requests: Bucket | None
    tokens: Bucket | None
    most_at_a_time: int | None = None
    under_way: int = 0
    """Requests that were let in and have not ended."""

    @property
    def terms(self) -> tuple[str, float | None, float | None, int | None]:
        """Its name and limits."""
        rates = [bucket.per_minute if bucket else None for bucket in (self.requests, self.tokens)]
        return self.name, rates[0], rates[1], self.most_at_a_time

    def admit(self) -> float:
        """Count a request, and return 0; or return after how many seconds to try again, and count nothing."""
        wait = max(
            self.requests.wait(1) if self.requests else 0.0,
            self.tokens.wait(1) if self.tokens else 0.0,
            1.0 if self.most_at_a_time and self.under_way >= self.most_at_a_time else 0.0,
        )
        if not wait:
            self.under_way += 1
            if self.requests:
                self.requests.take(1)
        return wait

    def charge(self, tokens: int) -> None:
        """Count the tokens of a prompt or an answer."""
        if self.tokens:
            self.tokens.take(tokens)

    def left(self) -> dict[str, int]:
        """Tell what is left, as OpenAI's headers name it."""
        buckets = {"requests": self.requests, "tokens": self.tokens}
        return {
            f"x-ratelimit-{part}-{name}": max(0, int(value))
            for name, bucket in buckets.items()
            if bucket
            for part, value in (("limit", bucket.per_minute), ("remaining", bucket.level))
        }


def digest(key: str) -> str:
    """Return the SHA-256 of a key. Keys are long and random, so a slow digest would win nothing."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_key() -> str:
    """Make a key of 256 random bits."""
    return f"ingot-{secrets.token_urlsafe(32)}"


class Keys:
    """Knows whose key it is. Keys themselves are not kept, only digests."""

    def __init__(self, file: KeyFile, key: str | None = None) -> None:
        """Take the file of keys, and one more key without limits. InputError if a tier is missing."""
        tiers = {"default": Tier(), **file.tiers}
        self.clients: dict[str, Client] = {}
        for entry in file.keys:
            if entry.tier not in tiers:
                raise InputError(f"the key {entry.name} has the tier {entry.tier!r}, which is not among `tiers`")
            self.clients[entry.sha256] = client_of(entry.name, tiers[entry.tier])
        if key:
            self.clients[digest(key)] = client_of("owner", Tier())

    def take_over(self, old: "Keys") -> None:
        """Go on with what is left to those whose limits are as before."""
        for key, client in self.clients.items():
            before = old.clients.get(key)
            if before and before.terms == client.terms:
                self.clients[key] = before

    def find(self, header: str | None) -> Client | None:
        """Find who sent an `Authorization` header. Digests are compared, so the time tells nothing of a key."""
        scheme, _, key = (header or "").partition(" ")
        return self.clients.get(digest(key.strip())) if scheme.lower() == "bearer" else None


def client_of(name: str, tier: Tier) -> Client:
    """Make a client with full buckets."""
    limits = (tier.requests_per_minute, tier.tokens_per_minute)
    requests, tokens = (Bucket(limit) if limit else None for limit in limits)
    return Client(name, requests, tokens, tier.requests_at_a_time)


def read_keys(path: Path) -> KeyFile:
    """Read the file of keys. InputError, with file and key, if it is damaged or others may read it."""
    import yaml

    try:
        if path.stat().st_mode & 0o077:
            raise InputError(f"{path}: others may read it; run chmod 600 on it")
        return KeyFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {error}") from None


def own_key(path: Path) -> tuple[str | None, str | None]:
    """Return (the key of INGOT_API_KEY, None) or, at the first start, (a new key, its text to be shown once).

    Of a new key, only the digest is kept, in `path`. At later starts, (None, None): the digest is there.
    """
    if given := os.environ.get(VARIABLE, "").strip():
        return given, None
    if path.exists():
        return None, None
    key = new_key()
    add_key(path, "first", "default", key)
    return None, key


def add_key(path: Path, name: str, tier: str, key: str) -> None:
    """Add the digest of a key to the file of keys, which only its owner may read."""
    import yaml

    known = read_keys(path) if path.exists() else KeyFile()
    if any(entry.name == name for entry in known.keys):
        raise InputError(f"{path}: there is a key called {name!r}; choose another name, or delete it first")
    if tier != "default" and tier not in known.tiers:
        raise InputError(f"{path}: there is no tier {tier!r}; add it to `tiers` first")
    entry: dict[str, Any] = {"name": name, "sha256": digest(key), "tier": tier}
    try:
        added = KeyFile(tiers=known.tiers, keys=[*known.keys, KeyEntry(**entry)])
    except ValidationError as error:
        raise InputError(f"the name of a key has letters, digits, dots and hyphens, at most 64: {name!r}") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(yaml.safe_dump(added.model_dump(exclude_none=True), sort_keys=False))
    partial.rename(path)
