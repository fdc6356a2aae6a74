"""Publish a release on a hub: `ingot publish REPOSITORY [RELEASE] [--public] [--dry-run]`.

All of it arrives in one commit, or nothing does. What was sent before a kill is not sent again. The hub is the one of
HF_ENDPOINT, the token that of HF_TOKEN or of `hf auth login`.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.release.checks import ADDED, LARGEST, check_files, open_manifest
from ingot.release.hub import Item, items, left_over
from ingot.release.leaks import leaks, places
from ingot.release.licences import objections

RELEASE = Path("results/release")


def options_of(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="ingot publish", description="Publish a release on a hub.")
    parser.add_argument("repository", metavar="REPOSITORY", help="OWNER/NAME; it is made if it does not exist")
    parser.add_argument("release", metavar="RELEASE", nargs="?", type=Path, default=RELEASE, help=f"{RELEASE}")
    parser.add_argument("--public", action="store_true", help="for everybody; else a new repository is private")
    parser.add_argument("--accept", metavar="LICENCE", action="append", default=[], help="one that you have read")
    parser.add_argument("--licence", metavar="FILE", type=Path, help="the text of the base's licence, which goes along")
    parser.add_argument("--dry-run", action="store_true", help="list what would go, and send nothing")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    options = parser.parse_args(arguments)
    if options.repository.count("/") != 1 or not all(options.repository.split("/")):
        raise InputError(f"{options.repository!r} is no name of a repository; it has the form OWNER/NAME")
    if options.licence and not (options.licence.is_file() and options.licence.stat().st_size < LARGEST):
        raise InputError(f"{options.licence}: there is no such file, or it is no text of a licence")
    return options


def refuse(problems: list[str], what: str) -> None:
    """Raise InputError if there are problems."""
    if problems:
        raise InputError("\n  ".join([what, *problems]))


def checked_items(options: argparse.Namespace) -> list[Item]:
    """List what goes. InputError if something of it must not go, or is damaged."""
    folder = options.release
    manifest = open_manifest(folder)
    going = items(folder, options.repository, options.licence)
    refuse(list(check_files(folder, manifest)), f"{folder} is damaged; build it again:")
    files = {item.name: item.content for item in going if isinstance(item.content, Path)}
    refuse(list(leaks(files)), "secrets would be published:")
    told = [path for name, path in files.items() if name in ("manifest.json", "figures.json", *ADDED)]
    refuse(places([path for path in told if path.suffix in (".json", ".jsonl")]), "places of this machine are named:")
    return going


def check_licences(options: argparse.Namespace, public: bool) -> None:
    """Raise InputError if a licence does not let a release be public. If it is not, warn of it."""
    manifest = open_manifest(options.release)
    against = list(objections(manifest, options.repository, options.accept, bool(options.licence)))
    if public:
        refuse(against, "licences do not let this be public:")
    for line in against:
        print(f"ingot: publish: beware, before others get it: {line}", file=sys.stderr)


def described(going: list[Item], options: argparse.Namespace) -> str:
    """Describe what would go."""
    if options.json:
        files = [{"path": item.name, "bytes": item.bytes, "sha256": item.digest} for item in going]
        return json.dumps({"repository": options.repository, "public": options.public, "files": files}, indent=2)
    total = sum(item.bytes for item in going)
    seen = "public" if options.public else "private"
    return "\n".join([
        *(f"{item.bytes:>15,}  {item.name}" for item in going),
        f"{total:>15,}  bytes in {len(going)} files would go to {options.repository}, {seen}",
    ])  # fmt: skip


def state_of(api: Any, repository: str) -> tuple[bool, list[str]] | None:
    """Return (whether a repository is public, the names of its files); None if there is none that one may see."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.repo_info(repository)
    except RepositoryNotFoundError:
        return None
    return not info.private, [sibling.rfilename for sibling in info.siblings or []]


def send(api: Any, options: argparse.Namespace) -> str:
    """Send a release to a hub, in one commit; return where it is."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    going = checked_items(options)
    there = state_of(api, options.repository)
    public, names = there or (options.public, [])
    check_licences(options, public)
    if options.public and not public:
        print("ingot: publish: the repository is private, and stays so until its page says otherwise", file=sys.stderr)
    if there is None:
        api.create_repo(options.repository, private=not public)
    given = [(item.name, item.content if isinstance(item.content, bytes) else str(item.content)) for item in going]
    added = [CommitOperationAdd(name, content) for name, content in given]
    deleted = [CommitOperationDelete(name) for name in left_over(names, going)]
    commit = api.create_commit(options.repository, [*added, *deleted], commit_message="A release by Ingot")
    return f"{api.endpoint}/{options.repository}\n{commit.commit_url}"


def explained(error: BaseException) -> str:
    """Say in one line what went wrong. An address may hold a signature behind its question mark, so that goes."""
    whole = " ".join(str(one).strip() for one in (error, error.__cause__) if one)
    return " ".join(re.sub(r"\?\S+", "", whole).split())[:500]


def published(options: argparse.Namespace) -> str:
    """Publish a release; InputError if the hub cannot be reached, or refuses."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        return send(api, options)
    except InputError:
        raise
    except Exception as error:  # of kinds that differ with what speaks HTTP for the library
        again = "run it again: what was sent before is not sent twice"
        raise InputError(f"{api.endpoint}: {explained(error)}\n{again}") from None


def main(arguments: list[str] | None = None) -> None:
    """Publish what the command line names, or list it."""
    try:
        options = options_of(sys.argv[1:] if arguments is None else arguments)
        if options.dry_run:
            going = checked_items(options)
            check_licences(options, options.public)
            print(described(going, options))
        else:
            print(published(options))
    except (InputError, OSError) as error:
        raise SystemExit(f"ingot: publish: {error}") from None


if __name__ == "__main__":
    main()
