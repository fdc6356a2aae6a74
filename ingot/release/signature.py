"""The signature of a release, by OpenSSF's model-signing: one key of its owner over the digests of all its files."""

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from ingot.errors import InputError

SIGNATURE = "model.sig"
# Snakemake's mark of a folder that it wrote, until the release is signed. It is no part of the release.
TIMESTAMP = "files/.snakemake_timestamp"
# What a hub adds to a release, or who downloads it from there. Nothing of it is read.
ON_HUB = ("README.md", "LICENSE", "NOTICE", ".gitattributes")
CACHE_OF_HUB = ".cache/huggingface"


def of_hub(folder: Path) -> list[str]:
    """List what a hub has added to a release, or who downloaded it from there."""
    files = [name for name in ON_HUB if (folder / name).is_file() and not (folder / name).is_symlink()]
    return [*files, *([CACHE_OF_HUB] if (folder / CACHE_OF_HUB).is_dir() else [])]


def hashing_of(folder: Path) -> Any:
    """Say which files of a release a signature is about: all but itself, and what belongs to a hub."""
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=[SIGNATURE, *of_hub(folder)], ignore_git_paths=False)


def password() -> bytes | None:
    """Return what opens an encrypted key."""
    return os.environb.get(b"INGOT_KEY_PASSWORD")


def make_key(path: Path) -> Path:
    """Make a key that only its owner may read; return the path of its public half. The key has the curve P-256."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    public = public_half(path)
    if public.exists():
        raise InputError(f"{public} is there, and {path} is not: name the key that it belongs to, or another new one")
    key = ec.generate_private_key(ec.SECP256R1())
    secret = password()
    locked = serialization.BestAvailableEncryption(secret) if secret else serialization.NoEncryption()
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return public


def public_half(key: Path) -> Path:
    """Return where the public half of a key is."""
    return key.with_name(f"{key.name}.pub")


def sign(folder: Path, key: Path) -> None:
    """Sign all files of a folder. InputError if the key cannot be used."""
    from model_signing import signing

    if key.stat().st_mode & 0o077:
        raise InputError(f"{key}: others may read it; run chmod 600 on it, or use a new one")
    partial = folder / f".{SIGNATURE}.partial"
    for left in (partial, folder / TIMESTAMP):
        left.unlink(missing_ok=True)
    try:
        signer = signing.Config().use_elliptic_key_signer(private_key=key, password=password())
        signer.set_hashing_config(hashing_of(folder)).sign(folder, partial)
        partial.rename(folder / SIGNATURE)
    except Exception as error:
        raise InputError(f"{key}: cannot sign: {error}") from None
    finally:
        partial.unlink(missing_ok=True)


def check_signature(folder: Path, key: Path) -> str:
    """Return what is wrong with the signature of a folder; "" if it is that of the public key."""
    from model_signing import verifying

    if not (folder / SIGNATURE).is_file():
        return f"there is no {SIGNATURE}"
    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=key)
        verifier.set_hashing_config(hashing_of(folder))
        with redirect_stdout(sys.stderr):  # it prints warnings
            verifier.verify(folder, folder / SIGNATURE)
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}" if str(error) else "it is of another key"
    return ""
