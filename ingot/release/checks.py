"""What a receiver can check of a release without trusting its folder."""

import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ingot.errors import InputError
from ingot.io.container import sha256
from ingot.io.records import read_json
from ingot.release.bill import BILL, bill_of_materials, is_spdx
from ingot.release.signature import CACHE_OF_HUB, ON_HUB, SIGNATURE, TIMESTAMP

LINEAGE = "lineage.jsonl"
# What a build puts into the folder of a release, beside its files, and what signing adds.
BUILT = (
    "manifest.json", "figures.json", "MODEL_CARD.md", "ledger.json", "ledger.md", "rounds.json", "rounds.md",
)  # fmt: skip
ADDED = (LINEAGE, BILL, SIGNATURE)
LARGEST = 256 << 20
"""Bytes of the largest file that is read as a whole."""
# Words that say that nobody knows the licence, SPDX's own among them.
UNSTATED = ("", "not stated", "none", "noassertion", "unknown", "n/a", "null")


@dataclass(frozen=True)
class Finding:
    """What came of one check."""

    check: str
    passed: bool
    said: str


def is_inside(name: Any) -> bool:
    """Tell whether a name of a manifest stays in the folder of the release."""
    return isinstance(name, str) and not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts


def odd_entries(folder: Path) -> list[str]:
    """List what is neither a plain file nor a folder, or too large to be read. Nothing of it is opened."""
    found = []
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        name = path.relative_to(folder).as_posix()
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            found.append(f"{name}: no plain file")
        elif path.parent == folder and stat.S_ISREG(mode) and path.lstat().st_size > LARGEST:
            found.append(f"{name}: more than {LARGEST >> 20} MiB")
    return found


def is_of_hub(name: str) -> bool:
    """Tell whether a file came with a download from a hub, beside the release."""
    return name in ON_HUB or name.startswith(f"{CACHE_OF_HUB}/")


def check_files(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the files: each must be the one of the manifest, and there must be no other."""
    named = {}
    for file in manifest["files"]:
        if not is_inside(file["path"]):
            yield f"{file['path']!r} would be outside of the release"
            continue
        path = folder / file["path"]
        named[path] = file
        if path.is_symlink() or not path.is_file():
            yield f"{file['path']}: missing, or no plain file"
        elif path.stat().st_size != file["bytes"]:
            yield f"{file['path']}: {path.stat().st_size} bytes instead of {file['bytes']}"
        elif sha256(path) != file["sha256"]:
            yield f"{file['path']}: other bytes than the manifest says"
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and path not in named and name not in (*BUILT, *ADDED, TIMESTAMP) and not is_of_hub(name):
            yield f"{name}: a release has no such file"


def check_additions(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with what signing has added: it must be about this build, and not about an earlier one."""
    if (folder / "figures.json").is_file() and read_json(folder / "figures.json").get("manifest") != manifest:
        yield "figures.json: it is of another build than manifest.json"
    there = [name for name in ADDED if (folder / name).exists()]
    if not there:
        return
    yield from (f"{name}: missing, and {there[0]} is there" for name in ADDED if name not in there)
    lines = (folder / LINEAGE).read_text(encoding="utf-8").splitlines() if LINEAGE in there else []
    wrote = {
        subject["digest"].get("sha256")
        for line in lines
        for subject in json.loads(line)["subject"]
        if subject["name"] == "results/release/manifest.json"
    }
    if lines and sha256(folder / "manifest.json") not in wrote:
        yield f"{LINEAGE}: it is of another build than manifest.json; sign this one"


def check_bill(folder: Path) -> Iterator[str]:
    """Yield what is wrong with the bill of materials: it must be the one that follows from the manifest.

    Its format needs no check here: `sign` checked that of the same bill.
    """
    try:
        if json.loads((folder / BILL).read_text(encoding="utf-8")) != bill_of_materials(folder):
            yield f"{BILL}: it is not the bill of this manifest"
    except (OSError, ValueError) as error:
        yield f"{BILL}: {error}"
    except InputError as error:
        yield str(error)


def stated(licence: Any) -> bool:
    """Tell whether a licence is stated."""
    return isinstance(licence, str) and licence.strip().casefold() not in UNSTATED


def check_licences(manifest: dict[str, Any], settings: list[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    """Yield what is wrong with the licences. The base and all data must have one, and it must be what the build read.

    `settings` are those of the steps: (rule, settings).
    """
    said = {"base": manifest["base"].get("licence")}
    said |= {f"source {name}": source.get("licence") for name, source in manifest["sources"].items()}
    yield from (f"the licence of the {name} is not stated" for name, licence in said.items() if not stated(licence))
    built: dict[str, Any] = {}
    for rule, values in settings:
        labels = values.get("labels")
        if rule == "release":
            built["base"] = values.get("licence")
        elif rule == "read" and isinstance(labels, dict):
            built[f"source {labels.get('source')}"] = labels.get("licence")
    for name in sorted(said.keys() | built.keys()) if settings else ():
        if name not in said:
            yield f"the {name} was read, and the manifest does not name it"
        elif name not in built:
            yield f"the {name} is in the manifest, and no step read it"
        elif said[name] != built[name]:
            yield f"the licence of the {name} is {said[name]!r} in the manifest and was {built[name]!r} in the build"


def beyond_spdx(manifest: dict[str, Any]) -> list[str]:
    """List the licences that are no expressions of SPDX, so that a person must read them."""
    found = [manifest["base"].get("licence"), *(source.get("licence") for source in manifest["sources"].values())]
    return sorted({licence for licence in found if stated(licence) and not is_spdx(licence)})


def open_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a release. InputError if there is none, or if it is damaged."""
    try:
        manifest: dict[str, Any] = read_json(folder / "manifest.json")
        complete = isinstance(manifest["files"], list) and all(
            isinstance(file, dict)
            and isinstance(file["path"], str)
            and isinstance(file["bytes"], int)
            and isinstance(file["sha256"], str)
            for file in manifest["files"]
        )
        sound = all(isinstance(source, dict) for source in manifest["sources"].values())
        if not (complete and sound and isinstance(manifest["base"], dict)):
            raise ValueError("it is not a manifest of a release")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, InputError) as error:
        raise InputError(f"{folder / 'manifest.json'}: {error}; name the folder of a release") from None
    return manifest
