"""Write what a user of the model needs to know: the manifest, with a digest per file, and the model card."""

from pathlib import Path
from typing import Any

from ingot.io.container import read_header, sha256
from ingot.io.records import read_json, write_json
from ingot.pages.page import page_of

# Packages whose versions say how the model was made.
NAMED = ("torch", "transformers", "trl", "peft", "bitsandbytes", "llmcompressor", "llama-cpp-python", "zstandard")


def versions(locks: list[Path]) -> dict[str, str]:
    """Return the versions of the packages that matter, from the locks and the torch pin beside them."""
    found = {}
    for path in [*locks, *(lock.with_suffix(".in") for lock in locks)]:
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, version = line.partition("==")
            if name in NAMED and version:
                found[name] = version.split()[0]
    return dict(sorted(found.items()))


def describe(path: Path) -> dict[str, Any]:
    """Return path, size and digest of a file, and of its content where it is packed."""
    facts: dict[str, Any] = {"path": str(path), "bytes": path.stat().st_size, "sha256": sha256(path)}
    if path.suffix == ".zst":
        facts["unpacked"] = read_header(path)[0]
    return facts


def described_base(origin: Path, licence: str) -> dict[str, Any]:
    """Return what is known of the base, without the course of its training."""
    long = ("losses", "conversations", "rows", "tokens_seen")
    return {**{key: value for key, value in read_json(origin).items() if key not in long}, "licence": licence}


def beside_parents(measured: list[Path], versus: list[Path]) -> list[dict[str, Any]]:
    """Return the figures of every model, with how it compares with its parent where it has one."""
    compared = {report["model"]: report for report in map(read_json, versus)}
    return [{"parent": None, **figures, **compared.get(figures["model"], {})} for figures in map(read_json, measured)]


def release(
    files: list[Path],
    folders: list[Path],
    other_types: list[Path],
    gates: list[Path],
    ledger: Path,
    rounds: list[Path],
    origin: Path,
    curation: list[Path],
    measured: list[Path],
    versus: list[Path],
    system: list[Path],
    detector: list[Path],
    suites: list[Path],
    pages: list[Path],
    compared: list[Path],
    locks: list[Path],
    manifest: Path,
    figures: Path,
    card: Path,
    *,
    preset: str,
    licence: str,
    served: str,
    chain: list[str],
    left_out: list[str],
) -> None:
    """Write manifest, figures and card of `files` and `folders`, the parts of the release; `gates` must all be open.

    The figures are everything that was measured, in one file, from which the card is made. What a build does not have
    is an empty list.
    """
    # Snakemake marks the folders that it made with a hidden file
    parts = [*files, *(file for folder in folders for file in sorted(folder.glob("[!.]*")) if file.is_file())]
    curated = [read_json(path) for path in curation]
    rows = read_json(ledger)
    about = {
        "preset": preset,
        "base": described_base(origin, licence),
        "chain": chain,
        "served": served,
        "files": [describe(path) for path in parts],
        "other_types": [describe(path) for path in other_types],
        "parents": {row["artifact"]: row["parent"] for row in rows},
        "gates": [read_json(path)["model"] for path in gates],
        "data": {
            row["step"]: {"in": row["records_in"], "out": row["records_out"]}
            for each in curated
            for row in each["funnel"]
        },
        "sources": {name: source for each in curated for name, source in each["sources"].items()},
        "pages": [str(path) for path in pages],
        "left_out": left_out,
        "versions": versions(locks),
    }
    values: dict[str, Any] = {
        "manifest": about,
        "ledger": rows,
        "stages": [stage for path in rounds for stage in read_json(path)],
        "measured": beside_parents(measured, versus),
        "system": read_json(system[0]) if system else None,
        "detector": read_json(detector[0]) if detector else None,
        "suites": [{"parent": None, **read_json(path)} for path in suites],
        "compared": [read_json(path) for path in compared],
    }
    write_json(manifest, about)
    write_json(figures, values)
    card.write_text(page_of("card.md", title=f"Model card: ingot-{preset}", **values), encoding="utf-8")
