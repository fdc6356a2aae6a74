"""Verify a release: `ingot verify RELEASE [--key PUBLIC] [--json]`.

It checks signature, digests, bill of materials, lineage and licences. In a clone that built the same, it also says
which steps gave the same bytes there. The exit status is 1 unless all checks have passed.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.release.checks import (
    ADDED,
    LINEAGE,
    Finding,
    beyond_spdx,
    check_bill,
    check_files,
    check_licences,
    is_of_hub,
    odd_entries,
    open_manifest,
)
from ingot.release.signature import check_signature, of_hub
from traced.cache import Cache
from traced.digest import Digests
from traced.lineage import REPEATED, Lineage, Statement, both_digests, check, name_of, read, rebuilt
from traced.store import Store
from traced.workspace import DVC

# So many problems of a kind are printed. JSON has all.
SHOWN = 5
# Links to sources with odd names are here, and the sources are no outputs of a step.
LINKS = "results/sources/"


def check_lineage(folder: Path, lineage: Lineage) -> Iterator[str]:
    """Yield what is wrong with the lineage: it must hold together, and lead from every file to the sources."""
    yield from lineage.problems
    for source in lineage.sources:
        if source["name"].startswith("results/") and not source["name"].startswith(LINKS):
            yield f"{source['name']} was read, and no step of the lineage wrote it"
    wrote = {subject["name"]: subject["digest"] for one in lineage.statements for subject in one["subject"]}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name in ADDED or is_of_hub(name):
            continue
        digest = wrote.get(f"results/release/{name}", {})
        if both_digests(path) != (digest.get("md5"), digest.get("sha256")):
            yield f"{name}: no step of the lineage wrote these bytes"


def settings_of_steps(lineage: Lineage) -> list[tuple[str, dict[str, Any]]]:
    """List the rule and the settings of each step."""
    given = [one["predicate"]["buildDefinition"]["externalParameters"] for one in lineage.statements]
    return [(one["rule"], one["settings"]) for one in given]


def made(check: str, problems: Callable[[], Iterable[str]], good: str | Callable[[], str]) -> Finding:
    """Make a check. Whatever it stumbles over in a hostile release is a problem of the release."""
    try:
        found = list(problems())
        return Finding(check, not found, "\n".join(found) or (good if isinstance(good, str) else good()))
    except Exception as error:
        return Finding(check, False, f"{type(error).__name__}: {' '.join(str(error).split())[:500]}")


def findings(folder: Path, key: Path | None) -> Iterator[Finding | Lineage]:
    """Make all checks, each after those that it relies on, and yield the lineage as well once it is read."""
    odd = made("kinds of files", lambda: odd_entries(folder), "only plain files and folders")
    yield odd
    if not odd.passed:
        return
    wrong = check_signature(folder, key) if key else "not checked: name the public key of the one you trust with --key"
    beside = f"; not signed: {', '.join(of_hub(folder))}" if of_hub(folder) else ""
    yield Finding("signature", not wrong, wrong or f"all files are as the owner of {key} signed them{beside}")
    if key and wrong:
        return  # nothing that follows would say more of a release that somebody else put together
    manifest = open_manifest(folder)
    yield made("files", lambda: check_files(folder, manifest), f"{len(manifest['files'])} files, size and SHA-256")
    yield made("bill of materials", lambda: check_bill(folder), "valid CycloneDX 1.6, and the one of this manifest")
    lineage = Lineage([], [], [])

    def read_lineage() -> Iterator[str]:
        nonlocal lineage
        lineage = check(read(folder / LINEAGE))
        return check_lineage(folder, lineage)

    yield made("lineage", read_lineage, lambda: described(lineage))
    others = beyond_spdx(manifest)
    good = "the base and all data have one" + (f"; read these yourself: {', '.join(others)}" if others else "")
    yield made("licences", lambda: check_licences(manifest, settings_of_steps(lineage)), good)
    yield lineage


def described(lineage: Lineage) -> str:
    """Say what a lineage leads back to."""
    given = [source["name"] for source in lineage.sources if Path(source["name"]).suffix not in (".py", ".lock")]
    by_md5 = sum("sha256" not in source["digest"] for source in lineage.sources)
    return (
        f"{len(lineage.statements)} steps from {len(lineage.sources)} sources to every file"
        + (f"; beside code and locks: {', '.join(given)}" if given else "")
        + (f"; {by_md5} sources are known by MD5 alone" if by_md5 else "")
    )


def rebuilt_here(statements: list[Statement]) -> dict[str, bool | None]:
    """Tell of each step whether this clone ran it from equal inputs, and got equal bytes. None: it did not run."""
    try:
        store = Store(Cache(DVC, Digests(DVC / "tmp/traced")), Path("dvc.lock"))
        return {
            name_of(one): rebuilt(one, store.runs_of(one["predicate"]["runDetails"]["metadata"]["invocationId"]))
            for one in statements
        }
    except Exception:
        return dict.fromkeys(map(name_of, statements))


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


def printable(text: str) -> str:
    """Write a text of a release so that it cannot move the cursor, or colour what stands beside it."""
    return "".join(sign if sign.isprintable() or sign == "\n" else f"\\x{ord(sign):02x}" for sign in text)


def main() -> None:
    """Verify the folder that the command line names, and print what came of each check."""
    parser = argparse.ArgumentParser(prog="ingot verify", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        found = list(findings(options.folder, options.key))
    except InputError as error:
        raise SystemExit(printable(f"ingot: verify: {error}")) from None
    checks = [one for one in found if isinstance(one, Finding)]
    statements = [statement for one in found if isinstance(one, Lineage) for statement in one.statements]
    here, there = rebuilt_here(statements), repeated(statements)
    if options.json:
        print(json.dumps({"checks": [vars(one) for one in checks], "rebuilt_here": here, "repeated": there}, indent=2))
    else:
        for one in checks:
            lines = printable(one.said).splitlines()
            more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
            print(f"{'passed' if one.passed else 'FAILED':7} {one.check}: " + "\n        ".join(lines[:SHOWN] + more))
        if statements:
            print(printable(told(there, len(statements), "twice, says its builder,")))
            print(printable(told(here, len(statements), "here")))
    raise SystemExit(not all(one.passed for one in checks))


if __name__ == "__main__":
    main()
