"""Verify a release: `ingot verify RELEASE [--key PUBLIC] [--json]`.

It checks signature, digests, bill of materials, lineage and licences. In a clone that built the same, it also says
which steps gave the same bytes there. The exit status is 1 unless all checks have passed.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.container import sha256
from ingot.release.checks import (
    LINEAGE,
    Finding,
    beyond_spdx,
    check_bill,
    check_files,
    check_licences,
    open_manifest,
)
from ingot.release.signature import check_signature
from traced.cache import Cache
from traced.digest import Digests
from traced.lineage import REPEATED, Lineage, Statement, check, name_of, read, rebuilt
from traced.store import Store
from traced.workspace import DVC

# So many problems of a kind are printed. JSON has all.
SHOWN = 5


def check_lineage(folder: Path, manifest: dict[str, Any], lineage: Lineage) -> Iterator[str]:
    """Yield what is wrong with the lineage: it must hold together, and tell who wrote each file of the release."""
    yield from lineage.problems
    writers = lineage.writers()
    yield from (
        f"{file['path']}: no step of the lineage wrote these bytes"
        for file in manifest["files"]
        if file["sha256"] not in writers
    )
    wrote = {subject["name"]: subject["digest"] for one in lineage.statements for subject in one["subject"]}

    for name in ("manifest.json", "figures.json", "MODEL_CARD.md"):
        digest = wrote.get(f"results/release/{name}", {})
        if not (folder / name).is_file() or digest.get("sha256") != sha256(folder / name):
            yield f"{name}: no step of the lineage wrote these bytes"


def settings_of_steps(lineage: Lineage) -> list[tuple[str, dict[str, Any]]]:
    """List the rule and the settings of each step."""
    given = [one["predicate"]["buildDefinition"]["externalParameters"] for one in lineage.statements]
    return [(one["rule"], one["settings"]) for one in given]


def findings(folder: Path, key: Path | None, lineage: Lineage | str) -> Iterator[Finding]:
    """Make all checks. A lineage that could not be read is what was wrong with it."""
    manifest = open_manifest(folder)

    def finding(name: str, problems: list[str], good: str) -> Finding:
        return Finding(name, not problems, "\n".join(problems) or good)

    wrong = check_signature(folder, key) if key else "not checked: name the public key of the one you trust with --key"
    yield Finding("signature", not wrong, wrong or f"all files are as the owner of {key} signed them")
    yield finding("files", list(check_files(folder, manifest)), f"{len(manifest['files'])} files, size and SHA-256")
    yield finding("bill of materials", list(check_bill(folder)), "valid CycloneDX 1.6, and the one of this manifest")
    if isinstance(lineage, str):
        yield Finding("lineage", False, lineage)
        yield finding("licences", list(check_licences(manifest, [])), "")
        return
    good = f"{len(lineage.statements)} steps from {len(lineage.sources)} sources to every file"
    yield finding("lineage", list(check_lineage(folder, manifest, lineage)), good)
    others = beyond_spdx(manifest)
    good = "the base and all data have one" + (f"; read these yourself: {', '.join(others)}" if others else "")
    yield finding("licences", list(check_licences(manifest, settings_of_steps(lineage))), good)


def rebuilt_here(statements: list[Statement]) -> dict[str, bool | None]:
    """Tell of each step whether this clone ran it from equal inputs, and got equal bytes. None: it did not run."""
    if not DVC.is_dir():
        return dict.fromkeys(map(name_of, statements))
    store = Store(Cache(DVC, Digests(DVC / "tmp/traced")), Path("dvc.lock"))
    builder = store.builder()
    runs = {
        name_of(one): store.runs_of(one["predicate"]["runDetails"]["metadata"]["invocationId"]) for one in statements
    }
    return {name_of(one): rebuilt(one, builder, runs[name_of(one)]) for one in statements}


def repeated(statements: list[Statement]) -> dict[str, bool]:
    """Tell of each step that its builder ran several times whether that gave equal bytes each time."""
    found = {}
    for one in statements:
        counts = one["predicate"]["runDetails"]["metadata"].get(REPEATED, {})
        if counts.get("runs", 0) > 1:
            found[name_of(one)] = counts["runs"] == counts["same_bytes"]
    return found


def told(what: dict[str, Any], total: int, who: str) -> str:
    """Say in one line which steps were rebuilt."""
    equal = [name for name, same in what.items() if same is True]
    other = sorted(name for name, same in what.items() if same is False)
    line = f"{len(equal)} of {total} steps were rebuilt {who} bit for bit"
    return line + (f"; other bytes: {', '.join(other)}" if other else "")


def main() -> None:
    """Verify the folder that the command line names, and print what came of each check."""
    parser = argparse.ArgumentParser(prog="ingot verify", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    lineage: Lineage | str
    try:
        lineage = check(read(options.folder / LINEAGE))
    except (OSError, ValueError) as error:
        lineage = str(error)
    try:
        found = list(findings(options.folder, options.key, lineage))
    except InputError as error:
        raise SystemExit(f"ingot: verify: {error}") from None
    statements = [] if isinstance(lineage, str) else lineage.statements
    here, there = rebuilt_here(statements), repeated(statements)
    if options.json:
        print(json.dumps({"checks": [vars(one) for one in found], "rebuilt_here": here, "repeated": there}, indent=2))
    else:
        for one in found:
            lines = one.said.splitlines()
            more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
            print(f"{'passed' if one.passed else 'FAILED':7} {one.check}: " + "\n        ".join(lines[:SHOWN] + more))
        if statements:
            print(told(there, len(statements), "by their builder"))
            print(told(here, len(statements), "here"))
    raise SystemExit(not all(one.passed for one in found))


if __name__ == "__main__":
    main()
