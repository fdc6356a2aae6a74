"""Write what a user of the model needs to know: the manifest, with a digest per file, and the model card."""

from pathlib import Path
from typing import Any

from ingot.io.container import read_header, sha256
from ingot.io.records import read_json, write_json

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


def percent(figure: dict[str, float]) -> str:
    """Return a proportion with its interval, as a person reads it."""
    return f"{figure['share']:.1%} ({figure['low']:.1%} to {figure['high']:.1%}, n = {figure['of']})"


def quality_lines(system: dict[str, Any]) -> list[str]:
    """Return the Markdown lines on what the system was measured to do."""
    lines = [
        "| | exact match on held-out questions, 95 % interval |",
        "|---|---|",
        f"| adapter alone, not compressed | {percent(system['adapter'])} |",
        f"| compressed base | {percent(system['base'])} |",
        f"| router, base and modifiers | {percent(system['system'])} |",
        f"| the same with a perfect router | {percent(system['oracle'])} |",
        f"| right decisions of the router | {percent(system['right_decisions'])} |",
    ]
    for domain, figures in system["modifiers"].items():
        lines.append(f"| {domain}: base | {percent(figures['base'])} |")
        lines.append(f"| {domain}: modifier | {percent(figures['modifier'])} |")
    return [*lines, "", f"Expected calibration error of the router: {system['expected_calibration_error']}."]


def suite_lines(evaluated: list[dict[str, Any]]) -> list[str]:
    """Return the Markdown section on the suites, each model beside the one that it descends from."""
    rows = []
    for report in evaluated:
        beside = ""
        if "parent" in report:
            pair = report["versus_parent"]
            interval = f"{pair['gain_low']:+.1f} to {pair['gain_high']:+.1f}"
            beside = f"{pair['gain']:+.1f} points ({interval}) against {report['parent']}, p = {pair['p_value']}"
        if report["too_long"]:
            beside += f" ({report['too_long']} questions do not fit into the context)"
        rows.append(f"| {report['suite']} | {report['model']} | {percent(report['score'])} | {beside} |")
    table = ["| suite | model | right, 95 % interval | paired |", "|---|---|---|---|", *rows]
    return ["## Suites\n\n" + "\n".join(table)] if rows else []


def comparison_text(report: dict[str, Any]) -> str:
    """Return the Markdown section on what the judge prefers."""
    rows = [
        f"| {name} | {one['win']} | {one['tie']} | {one['loss']} | {percent(one)} | {report['next_round'][name]} |"
        for name, one in {"all": report["all"], **report["domains"]}.items()
    ]
    return (
        f"## {report['ours']} against {report['theirs']}, judged in pairs\n\n"
        "| | wins | ties | losses | score, 95 % interval (parity is 50 %) | next round |\n"
        "|---|---:|---:|---:|---|---|\n"
        + "\n".join(rows)
        + f"\n\nThe two orders of the answers agree in {report['orders_agree']:.0%}; the first place is worth"
        f" {report['first_place_worth']} points."
    )


def card_text(
    manifest: dict[str, Any],
    system: dict[str, Any],
    detector: dict[str, Any],
    judged: list[str],
    rounds: str,
    table: str,
) -> str:
    """Return the model card as Markdown."""
    base = manifest["base"]
    funnel = "\n".join(f"| {name} | {c['in']:,} | {c['out']:,} |" for name, c in manifest["data"].items())
    packages = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    sources = "\n".join(
        f"| {name} | {one['records']:,} | {one['licence'] or 'not stated'} |"
        for name, one in manifest["sources"].items()
    )
    files = "\n".join(f"- `{f['path']}`: {f['bytes']:,} bytes, SHA-256 `{f['sha256']}`" for f in manifest["files"])
    size = sum(f["bytes"] for f in manifest["files"])
    sentences, families = (detector["held_out"][side] for side in ("sentences", "families"))
    parts = [
        f"# Model card: ingot-{manifest['preset']}",
        f"A base of {base['parameters']:,} parameters ({base['kind']}, licence {base['licence']}), adapted, pruned,"
        f" quantised to {manifest['served']} and packed, with LoRA modifiers for {', '.join(system['modifiers'])} and"
        " a router that chooses among them.",
        "## Quality\n\n" + "\n".join(quality_lines(system)),
        "## Rounds\n\nExact match by domain with its 95 % interval (Wilson); a step with its interval and the p value"
        " of McNemar's exact test; forgetting is what domains fell, on average over all, in points. `targeted` trains"
        " the adapter on; `system` is compressed.\n\n" + rounds.strip(),
        f"Escalation detector: {sentences['accuracy']:.1%} right on sentences that it was not trained on, with"
        f" {sentences['false_alarms']:.1%} false alarms; {families['accuracy']:.1%} and {families['false_alarms']:.1%}"
        " in families of phrasings of which it has seen nothing.",
        *judged,
        f"## Files\n\n{files}\n\nTogether {size:,} bytes. `make unpack FILE=...` unpacks and checks.",
        table.replace("# Size ledger", "## Size ledger").strip(),
        f"## Data\n\n| step | records in | records out |\n|---|---:|---:|\n{funnel}\n\n"
        f"| source | records left | licence |\n|---|---:|---|\n{sources}",
        f"## Made with\n\n{packages}.",
    ]
    return "\n\n".join(parts) + "\n"


def release(
    files: list[Path],
    packed: list[Path],
    folders: list[Path],
    gates: list[Path],
    table: Path,
    markdown: Path,
    rounds: Path,
    origin: Path,
    curation: Path,
    system: Path,
    detector: Path,
    evaluated: list[Path],
    pages: list[Path],
    compared: list[Path],
    locks: list[Path],
    manifest: Path,
    card: Path,
    *,
    preset: str,
    base: dict[str, Any],
    served: str,
) -> None:
    """Write manifest and card of `files` and `folders`, the parts of a served system; `gates` must all be open."""
    # Snakemake marks the folders that it made with a hidden file
    parts = [*files, *(file for folder in folders for file in sorted(folder.glob("[!.]*")))]
    curated = read_json(curation)
    about = {
        "preset": preset,
        "base": {**read_json(origin), "licence": base["licence"]},
        "served": served,
        "files": [describe(path) for path in parts],
        "other_types": [describe(path) for path in packed if path not in files],
        "parents": {row["artifact"]: row["parent"] for row in read_json(table)},
        "gates": [read_json(path)["model"] for path in gates],
        "data": {row["step"]: {"in": row["records_in"], "out": row["records_out"]} for row in curated["funnel"]},
        "sources": curated["sources"],
        "pages": [str(path) for path in pages],
        "versions": versions(locks),
    }
    for key in ("losses", "conversations", "rows", "tokens_seen"):
        about["base"].pop(key, None)
    write_json(manifest, about)
    judged = [
        *suite_lines([read_json(path) for path in evaluated]),
        *(comparison_text(read_json(path)) for path in compared),
    ]
    tables = [path.read_text(encoding="utf-8") for path in (rounds, markdown)]
    text = card_text(about, read_json(system), read_json(detector), judged, *tables)
    card.write_text(text, encoding="utf-8")
