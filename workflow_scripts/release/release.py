"""Put a release together: its files, the manifest with a digest of each, and the model card.

The folder of a release can be copied anywhere. Its files have the names in it that they have in results/.
"""

import shutil
from pathlib import Path
from typing import Any

from ingot.io.container import read_header, sha256
from ingot.io.records import read_json, write_json
from ingot.pages.page import page_of
from ingot.settings.router import Router
from ingot.text.tokenizer_files import NAMES as TOKENIZER_FILES

# What the folder with the files is called in the release.
CONTENT = Path("files")
TOKENIZER = "tokenizer"
# The manifest names the versions of these packages.
NAMED = ("torch", "transformers", "trl", "peft", "bitsandbytes", "llmcompressor", "llama-cpp-python", "zstandard")


def versions(locks: list[Path]) -> dict[str, str]:
    """Read the versions of packages from the locks. That of torch stands in a comment."""
    version_of = {}
    for path in locks:
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, version = line.removeprefix("# ").partition("==")
            if name in NAMED and version:
                version_of[name] = version.split()[0]
    return dict(sorted(version_of.items()))


def describe(path: Path, name: str = "") -> dict[str, Any]:
    """Describe a file by its name (its path unless given), size and digest. A packed file says what it unpacks to."""
    facts: dict[str, Any] = {"path": name or str(path), "bytes": path.stat().st_size, "sha256": sha256(path)}
    if path.suffix == ".zst":
        facts["unpacked"] = read_header(path).promise
    return facts


def described_base(origin: Path, licence: str) -> dict[str, Any]:
    """Describe the base by its report, but leave out how its training went."""
    of_training = ("losses", "conversations", "rows", "tokens_seen")
    return {**{key: value for key, value in read_json(origin).items() if key not in of_training}, "licence": licence}


def beside_parents(measured: list[Path], versus: list[Path]) -> list[dict[str, Any]]:
    """List the figures of every model. A model with a parent has the figures of their comparison, too."""
    compared = {report["model"]: report for report in map(read_json, versus)}
    return [{"parent": None, **figures, **compared.get(figures["model"], {})} for figures in map(read_json, measured)]


def files_in(folders: list[Path]) -> list[Path]:
    """List the files in folders, except for the hidden ones with which Snakemake marks folders."""
    return [file for folder in folders for file in sorted(folder.glob("[!.]*")) if file.is_file()]


def put(path: Path, content: Path) -> str:
    """Copy a file of results/ to its place in the folder `content` of the release; return its path in the release."""
    name = path.relative_to("results")
    place = content / name
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, place)
    return (CONTENT / name).as_posix()


def files_of_tokenizers(folders: list[Path]) -> list[Path]:
    """List the files of a tokenizer and of its chat template, which may lie beside a model."""
    return [folder / name for folder in folders for name in TOKENIZER_FILES if (folder / name).exists()]


def put_tokenizer(path: Path, content: Path) -> str:
    """Copy a file of a tokenizer into the folder `tokenizer` of the release; return its path in the release."""
    place = content / TOKENIZER / path.name
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, place)
    return (CONTENT / TOKENIZER / path.name).as_posix()


def how_to_serve(
    files: list[Path], folders: list[Path], served: str, context: int, router: Router | None
) -> dict[str, Any] | None:
    """Tell a server which file is what. None if there is no GGUF file."""
    if not served:
        return None
    model, *modifiers = [(CONTENT / path.relative_to("results")).as_posix() for path in files]
    named = {path.name: (CONTENT / path.relative_to("results")).as_posix() for path in folders}
    return {
        "model": model,
        "modifiers": {Path(path).parent.name: path for path in modifiers},
        "tokenizer": (CONTENT / TOKENIZER).as_posix(),
        "router": named.get("model"),
        "detector": named.get("detector"),
        "worth": {"right": router.worth, **router.costs.model_dump()} if router else {},
        "context": context,
    }


def data_figures(curation: list[Path]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the report of the data stage, if there is one: ({step: records in and out}, {source: its figures})."""
    data: dict[str, Any] = {}
    sources: dict[str, Any] = {}
    for report in map(read_json, curation):
        data |= {row["step"]: {"in": row["records_in"], "out": row["records_out"]} for row in report["funnel"]}
        sources |= report["sources"]
    return data, sources


def read_optional(paths: list[Path]) -> Any:
    """Read the report of a part of the system. None if the build does not have this part."""
    return read_json(paths[0]) if paths else None


def everything_measured(
    described: dict[str, Any],
    ledger: list[dict[str, Any]],
    rounds: list[Path],
    measured: list[Path],
    versus: list[Path],
    system: list[Path],
    detector: list[Path],
    suites: list[Path],
    compared: list[Path],
) -> dict[str, Any]:
    """Put all figures of a build together: what the manifest says, the ledger, and what the reports say."""
    return {
        "manifest": described,
        "ledger": ledger,
        "stages": [stage for path in rounds for stage in read_json(path)],
        "measured": beside_parents(measured, versus),
        "system": read_optional(system),
        "detector": read_optional(detector),
        "suites": [{"parent": None, **read_json(path)} for path in suites],
        "compared": [read_json(path) for path in compared],
    }


def release(
    files: list[Path],
    folders: list[Path],
    tokenizer: list[Path],
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
    content: Path,
    manifest: Path,
    figures: Path,
    card: Path,
    *,
    preset: str,
    licence: str,
    served: str,
    chain: list[str],
    adapters: list[str],
    left_out: list[str],
    context: int,
    router_settings: Router | None,
) -> None:
    """Put `files`, `folders` and `pages` into the folder of a release; write its manifest, figures and card.

    The figures are everything that was measured, in one file; the card is made from them. Inputs that a build does not
    have are []. The first of `files` is the served model, all others are modifiers. The step runs only if all `gates`
    are open.
    """
    rows = read_json(ledger)
    data, sources = data_figures(curation)
    described = {
        "preset": preset,
        "base": described_base(origin, licence),
        "chain": chain,
        "adapters": adapters,
        "served": served,
        "files": [
            *(describe(path, put(path, content)) for path in [*files, *files_in(folders), *pages]),
            *(describe(path, put_tokenizer(path, content)) for path in files_of_tokenizers(tokenizer)),
        ],
        "serving": how_to_serve(files, folders, served, context, router_settings),
        "other_types": [describe(path) for path in other_types],
        "parents": {row["artifact"]: row["parent"] for row in rows},
        "gates": [read_json(path)["model"] for path in gates],
        "data": data,
        "sources": sources,
        "left_out": left_out,
        "versions": versions(locks),
    }
    values = everything_measured(described, rows, rounds, measured, versus, system, detector, suites, compared)
    write_json(manifest, described)
    write_json(figures, values)
    card.write_text(page_of("card.md", title=f"Model card: ingot-{preset}", **values), encoding="utf-8")
