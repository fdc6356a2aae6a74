"""Where files came from, in a form that a stranger can check without having the project.

    python -m traced.lineage TARGET ... > lineage.jsonl

Each step on the way to the targets becomes one line: an in-toto statement (https://in-toto.io/Statement/v1) with
SLSA's provenance (https://slsa.dev/provenance/v1). It names every file that the step wrote and every file that it read,
each with SHA-256, and the settings. `check` tells whether such statements hold together.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any

from traced.digest import digest_of
from traced.store import Entry, Run, hash_of, is_entry, key_of, settings_of
from traced.workspace import Workspace

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:traced:step:v1"
# How often the builder itself ran a step from equal inputs, and how often that gave the bytes of this statement.
REPEATED = "urn:traced:repeated"
# The run that a statement is about.
RUN = "urn:traced:run"
BLOCK = 1 << 20

Statement = dict[str, Any]


def versions() -> dict[str, str]:
    """Return the versions of the tools that a build depends on, as far as they are installed."""
    found = {}
    for name in ("snakemake", "dvc"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def time_of(seconds: float) -> str:
    """Write a time as RFC 3339 has it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def both_digests(path: Path) -> tuple[str, str] | None:
    """Return (MD5, SHA-256) of a file, by reading it once. None if it cannot be read."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(BLOCK):
                md5.update(block)
                sha256.update(block)
    except OSError:
        return None
    return md5.hexdigest(), sha256.hexdigest()


class Writer:
    """Writes the statements of one workspace. A file is read once, however many steps read or wrote it."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.sha256_of: dict[str, str] = {}

    def sha256(self, md5: str, place: Path) -> str | None:
        """Return the SHA-256 of the bytes with this MD5: the file at `place`, or an object of the cache."""
        if md5 not in self.sha256_of:
            for path in (self.workspace.cache.object(md5), place):
                found = both_digests(path)
                if found and found[0] == md5:
                    self.sha256_of[md5] = found[1]
                    break
        return self.sha256_of.get(md5)

    def files(self, described: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Describe every file of the deps or outs of an entry. FileNotFoundError if the files of a folder are unknown.

        The SHA-256 is left out if the bytes are no longer here.
        """
        found = []
        for path, md5 in ((one["path"], one["md5"]) for one in described):
            files = self.workspace.cache.files(md5)
            if files is None:  # a folder that no step wrote
                self.workspace.digests.of(path)
                files = {name: digest for name, (_, digest) in self.workspace.digests.recall(path).items()}
                if digest_of(files) != md5:
                    raise FileNotFoundError(f"{path}: the list of its files is neither in the cache nor on disk")
            for name, digest in sorted(files.items()):
                sha256 = self.sha256(digest, Path(path) / name if name else Path(path))
                digests = {"md5": digest} | ({"sha256": sha256} if sha256 else {})
                found.append({"name": f"{path}/{name}" if name else path, "digest": digests})
        return found

    def statement(self, name: str, entry: Entry) -> Statement:
        """Write the statement of a step."""
        key, runs = key_of(entry), self.workspace.store.runs_of(key_of(entry))
        same = [run for run in runs if run.entry == hash_of(entry)]
        metadata: dict[str, Any] = {"invocationId": key}
        if same:
            last = same[-1]
            metadata[RUN] = last.id
            metadata["finishedOn"] = time_of(last.ended)
            if last.seconds is not None:
                metadata["startedOn"] = time_of(last.ended - last.seconds)
        metadata[REPEATED] = {"runs": len(runs), "same_bytes": len(same)}
        return {
            "_type": STATEMENT,
            "subject": self.files(entry["outs"]),
            "predicateType": PREDICATE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": {"rule": rule_of(entry), "settings": settings_of(entry)},
                    "internalParameters": {"step": name, "entry": entry},
                    "resolvedDependencies": self.files(entry.get("deps", [])),
                },
                "runDetails": {
                    "builder": {"id": self.workspace.store.builder(), "version": versions()},
                    "metadata": metadata,
                },
            },
        }


def entry_of(statement: Statement) -> Entry:
    """Return the trace that a statement was made from."""
    entry: Entry = statement["predicate"]["buildDefinition"]["internalParameters"]["entry"]
    return entry


def is_statement(value: Any) -> bool:
    """Tell whether a value is a statement of ours, whole, whose trace has the key that it says."""
    try:
        build, run = value["predicate"]["buildDefinition"], value["predicate"]["runDetails"]
        entry = build["internalParameters"]["entry"]
        texts = [build["internalParameters"]["step"], run["builder"]["id"], entry["cmd"]]
        described = [*value["subject"], *build["resolvedDependencies"]]
        texts += [text for one in described for text in (one["name"], one["digest"]["md5"])]
        texts += [one["digest"].get("sha256", "") for one in described]
        texts += [one[key] for one in entry.get("deps", []) for key in ("path", "md5")]
        repeated = run["metadata"].get(REPEATED, {"runs": 0, "same_bytes": 0})
        return (
            (value["_type"], value["predicateType"], build["buildType"]) == (STATEMENT, PREDICATE, BUILD_TYPE)
            and all(isinstance(text, str) for text in texts)
            and all(isinstance(repeated[name], int) for name in ("runs", "same_bytes"))
            and is_entry(entry)
            and build["externalParameters"] == {"rule": rule_of(entry), "settings": settings_of(entry)}
            and key_of(entry) == run["metadata"]["invocationId"]
        )
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError):
        return False


def rule_of(entry: Entry) -> str:
    """Return the rule of a step, as its command names it."""
    return str(entry["cmd"]).partition("--allowed-rules ")[2].partition(" ")[0]


def name_of(statement: Statement) -> str:
    """Return the name of the step of a statement."""
    return str(statement["predicate"]["buildDefinition"]["internalParameters"].get("step"))


def read(path: Path) -> list[Statement]:
    """Read statements, one a line. ValueError with the line if one cannot be used."""
    statements = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            statement = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: line {number}: {error}") from None
        if not is_statement(statement):
            raise ValueError(
                f"{path}: line {number}: no statement of a step, or its trace has another key than it says"
            )
        statements.append(statement)
    return statements


def differing(described: list[dict[str, Any]], files: list[dict[str, Any]]) -> list[str]:
    """List the deps or outs of an entry whose digests are not those of the files that a statement names for them."""
    digests = {one["path"]: one["md5"] for one in described}
    inside: dict[str, dict[str, str]] = {path: {} for path in digests}
    for file in files:
        name = PurePosixPath(file["name"])
        place = next((str(path) for path in (name, *name.parents) if str(path) in inside), None)
        if place is None:
            return [file["name"]]
        relative = "" if str(name) == place else str(name.relative_to(place))
        inside[place][relative] = file["digest"]["md5"]
    return [path for path, md5 in digests.items() if digest_of(inside[path]) != md5]


@dataclass
class Lineage:
    """What statements say together."""

    statements: list[Statement]
    problems: list[str]
    """What does not hold together; empty if all does."""
    sources: list[dict[str, Any]]
    """The files that no step wrote, such as code, locks and data."""

    def writers(self) -> dict[str, Statement]:
        """Return {SHA-256: the statement of the step that wrote a file of these bytes}."""
        return {
            subject["digest"]["sha256"]: statement
            for statement in self.statements
            for subject in statement["subject"]
            if "sha256" in subject["digest"]
        }


def check(statements: list[Statement]) -> Lineage:
    """Tell whether statements hold together.

    Each must name the files of its trace. A file that a step read must be the one that another wrote, or a source. No
    step may need what it writes.
    """
    problems: list[str] = []
    writer: dict[str, str] = {}
    wrote: dict[str, dict[str, str]] = {}
    for statement in statements:
        name, entry = name_of(statement), entry_of(statement)
        for path in differing(entry["outs"], statement["subject"]):
            problems.append(f"{name}: the files named for {path} are not those of its trace")
        for subject in statement["subject"]:
            if subject["name"] in writer:
                problems.append(f"{name} and {writer[subject['name']]} both write {subject['name']}")
            writer[subject["name"]], wrote[subject["name"]] = name, subject["digest"]
    sources: dict[str, dict[str, Any]] = {}
    parents: dict[str, set[str]] = {}
    for statement in statements:
        name, entry = name_of(statement), entry_of(statement)
        read_files = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        for path in differing(entry.get("deps", []), read_files):
            problems.append(f"{name}: the files named for {path} are not those of its trace")
        for file in read_files:
            if file["name"] not in writer:
                sources[file["name"]] = file
                continue
            parents.setdefault(name, set()).add(writer[file["name"]])
            if file["digest"] != wrote[file["name"]]:
                problems.append(
                    f"{name} read another {file['name']} than {writer[file['name']]} wrote:"
                    f" {file['digest']['md5']} instead of {wrote[file['name']]['md5']}"
                )
    problems += [f"{name} needs what it writes" for name in in_circles(parents)]
    return Lineage(statements, problems, [sources[name] for name in sorted(sources)])


def in_circles(parents: dict[str, set[str]]) -> list[str]:
    """List the steps that depend on themselves."""
    left = {name: set(before) for name, before in parents.items()}
    while ready := [name for name, before in left.items() if not before & left.keys()]:
        for name in ready:
            del left[name]
    return sorted(left)


def rebuilt(statement: Statement, runs: Sequence[Run]) -> bool | None:
    """Tell whether runs from equal inputs gave the bytes of a statement. None if there were no such runs.

    The run that the statement is about is left out: it is no second one.
    """
    metadata = statement["predicate"]["runDetails"]["metadata"]
    others = [run for run in runs if run.id != metadata.get(RUN)]
    wanted = hash_of(entry_of(statement))
    return all(run.entry == wanted for run in others) if others else None


def statements_of(targets: Iterable[str]) -> list[Statement]:
    """Write the statements of all steps on the way to the targets, parents first. SystemExit if one is not built."""
    from traced.graph import open_graph
    from traced.plan import Plan

    with open_graph(frozenset(targets)) as (tracer, steps, wanted):
        plan = Plan(tracer.workspace, steps, wanted)
        writer = Writer(tracer.workspace)
    statements = []
    for step, planned in plan.of.items():
        if planned.entry is None:
            raise SystemExit(f"{step.name}: it has no trace, because {'; '.join(planned.because())}: build first")
        try:
            statements.append(writer.statement(step.name, planned.entry))
        except FileNotFoundError as error:
            raise SystemExit(f"{step.name}: {error}") from None
    return statements


def main() -> None:
    """Print the statements of the targets that the command line names."""
    if not sys.argv[1:] or sys.argv[1].startswith("-"):
        raise SystemExit(__doc__)
    for statement in statements_of(sys.argv[1:]):
        print(json.dumps(statement, sort_keys=True))  # noqa: T201


if __name__ == "__main__":
    main()
