"""Publish a release on a hub: `ingot publish REPOSITORY [RELEASE] [--public] [--dry-run]`.

All files arrive in one commit, or none does. Those that arrived whole before a kill are not sent again. The hub is the
one of HF_ENDPOINT, the token that of HF_TOKEN or of `hf auth login`.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.release.checks import ADDED, LARGEST, check_additions, check_files, open_manifest
from ingot.release.hub import README, Item, items
from ingot.release.leaks import leaks, own_places, own_secrets, places
from ingot.release.licences import objections

RELEASE = Path("results/release")
# What is in a repository that nothing was published in.
EMPTY = {".gitattributes", README}


def options_of(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    parser = argparse.ArgumentParser(prog="ingot publish", description="Publish a release on a hub.")
    parser.add_argument("repository", metavar="REPOSITORY", help="OWNER/NAME; it is made if it does not exist")
    parser.add_argument("release", metavar="RELEASE", nargs="?", type=Path, default=RELEASE, help=f"{RELEASE}")
    parser.add_argument("--public", action="store_true", help="for everybody; else a new repository is private")
    parser.add_argument("--accept", metavar="LICENCE", action="append", default=[], help="one that you have read")
    parser.add_argument("--licence", metavar="FILE", type=Path, help="the text of the base's licence, which goes along")
    parser.add_argument("--dry-run", action="store_true", help="list what would go, and send nothing")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    options = parser.parse_args(arguments)
    if options.repository.count("/") != 1:
        raise InputError(f"{options.repository!r} is no name of a repository; it has the form OWNER/NAME")
    try:
        validate_repo_id(options.repository)
    except HFValidationError as error:
        raise InputError(str(error)) from None
    if options.licence and not (options.licence.is_file() and options.licence.stat().st_size < LARGEST):
        raise InputError(f"{options.licence}: there is no such file, or it is no text of a licence")
    return options


def refuse(problems: list[str], what: str) -> None:
    """Raise InputError if there are problems."""
    if problems:
        raise InputError("\n  ".join([what, *problems]))


def checked_items(options: argparse.Namespace) -> list[Item]:
    """List what goes. InputError if something of it must not go, or is damaged."""
    from huggingface_hub import get_token

    folder = options.release
    manifest = open_manifest(folder)
    going = items(folder, options.repository, options.licence)
    refuse(list(check_files(folder, manifest)), f"{folder} is damaged; build it again:")
    try:
        stale = list(check_additions(folder, manifest))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        stale = [f"what signing has added cannot be read ({error!r}); sign it again"]
    refuse(stale, f"{folder} was built anew since it was signed; sign it again, or remove these:")
    own = own_secrets(os.environ) | own_places() | ({token: "your token"} if (token := get_token()) else {})
    refuse(list(leaks({item.name: item.content for item in going}, own)), "this should not leave this machine:")
    told = {name: folder / name for name in ("manifest.json", "figures.json", *ADDED) if (folder / name).is_file()}
    named = places({name: path for name, path in told.items() if path.suffix in (".json", ".jsonl")})
    refuse(named, "places of this machine are named; link them into the project, and build again:")
    return going


def check_licences(options: argparse.Namespace, name: str, public: bool) -> None:
    """Raise InputError if a licence does not let a release be public as `name`. If it is not, warn of it."""
    against = list(objections(open_manifest(options.release), name, options.accept, bool(options.licence)))
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
    seen = "public" if options.public else "private if it is new"
    return "\n".join([
        *(f"{item.bytes:>15,}  {item.name}" for item in going),
        f"{total:>15,}  bytes in {len(going)} files would go to {options.repository}, {seen}",
    ])  # fmt: skip


def state_of(api: Any, repository: str) -> Any:
    """Return what a hub says of a repository; None if there is none that one may see."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return api.repo_info(repository)
    except RepositoryNotFoundError:
        return None


def names_in(there: Any, options: argparse.Namespace) -> set[str]:
    """List the files of a repository. InputError if it is not one for this release."""
    if there is None:
        return set()
    names = {sibling.rfilename for sibling in there.siblings or []}
    if not there.private and not options.public:
        raise InputError(f"{options.repository} is public; say --public if everybody shall have this release")
    if names - EMPTY and "manifest.json" not in names:
        raise InputError(f"{options.repository} holds something else, which a release would take the place of")
    if ".gitignore" in names:
        raise InputError(f"{options.repository} has a .gitignore, which may leave out files; remove it there")
    if there.private and options.public:
        print("ingot: publish: the repository is private, and stays so until its page says otherwise", file=sys.stderr)
    return names


def send(api: Any, going: list[Item], options: argparse.Namespace) -> str:
    """Send a release to a hub, in one commit; return where it is."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    there = state_of(api, options.repository)
    names = names_in(there, options)
    public = options.public if there is None else not there.private
    check_licences(options, (there.id if there else options.repository).rpartition("/")[2], public)
    if there is None:
        api.create_repo(options.repository, private=not public)
    promised = {item.name: item.digest for item in going}
    given = [(item.name, item.content if isinstance(item.content, bytes) else str(item.content)) for item in going]
    added = [CommitOperationAdd(name, content) for name, content in given]
    deleted = [CommitOperationDelete(name) for name in sorted(names - {*promised, ".gitattributes"})]
    api.preupload_lfs_files(options.repository, added, free_memory=False)
    sent = {one.path_in_repo: one.upload_info.sha256.hex() for one in added}
    changed = [name for name, digest in sent.items() if digest != promised[name]]
    refuse(changed, "these changed while they were sent; nothing was published. Build, and run it again:")
    parent = there.sha if there else None
    message = "A release by Ingot"
    commit = api.create_commit(options.repository, [*added, *deleted], commit_message=message, parent_commit=parent)
    return f"{api.endpoint}/{options.repository}\n{commit.commit_url}"


def explained(error: BaseException) -> str:
    """Say in one line what went wrong. An address may hold a signature behind its question mark, so that goes."""
    whole = " ".join(str(one).strip() or type(one).__name__ for one in (error, error.__cause__) if one)
    return " ".join(re.sub(r"\?\S+", "", whole).split())[:500]


def published(options: argparse.Namespace) -> str:
    """Publish a release; InputError if something of it must not go, or if the hub cannot be reached, or refuses."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import HfApi

    going = checked_items(options)
    api = HfApi()
    try:
        return send(api, going, options)
    except InputError:
        raise
    except Exception as error:  # of kinds that differ with what speaks HTTP for the library
        where = re.sub(r"//[^/@]*@", "//", api.endpoint)
        advice = (
            "set HF_TOKEN to a token that may write there, or run `hf auth login`"
            if re.search(r"\b40[13]\b|token", str(error), re.IGNORECASE)
            else "run it again: files that arrived whole are not sent twice"
        )
        raise InputError(f"{where}: {explained(error)}\n{advice}") from None


def main(arguments: list[str] | None = None) -> None:
    """Publish what the command line names, or list it."""
    try:
        options = options_of(sys.argv[1:] if arguments is None else arguments)
        if options.dry_run:
            going = checked_items(options)
            check_licences(options, options.repository.rpartition("/")[2], options.public)
            print(described(going, options))
        else:
            print(published(options))
    except (InputError, OSError) as error:
        raise SystemExit(f"ingot: publish: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("ingot: publish: stopped; files that arrived whole are not sent twice") from None


if __name__ == "__main__":
    main()
