"""A release as a repository of a hub: its page, its licence, and the one commit that brings all of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.container import sha256
from ingot.io.records import read_json
from ingot.release.checks import is_of_hub, odd_entries
from ingot.release.licences import FREE, terms_of

README, LICENCE = "README.md", "LICENSE"


@dataclass(frozen=True)
class Item:
    """A file of a repository."""

    name: str
    content: Path | bytes

    @property
    def bytes(self) -> int:
        """Its size."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    @property
    def digest(self) -> str:
        """Its SHA-256."""
        from hashlib import sha256 as digest_of

        return digest_of(self.content).hexdigest() if isinstance(self.content, bytes) else sha256(self.content)


def licence_fields(licence: str, link: bool) -> dict[str, Any]:
    """Say a licence in the words of the hub, which has names of its own for some of them."""
    if licence in FREE:
        return {"license": licence.lower()}
    if terms := terms_of(licence):
        return {"license": terms.name_on_hub(licence)}
    return {"license": "other", "license_name": licence, **({"license_link": LICENCE} if link else {})}


def results(figures: dict[str, Any]) -> list[Any]:
    """List the shares of right answers of what is served, as the hub shows them."""
    from huggingface_hub import EvalResult

    served = figures["manifest"]["served"]
    shares = {row["model"]: row["exact_match"]["all"] for row in figures["measured"] if row["model"] == served}
    if figures["system"]:
        shares["the whole system"] = figures["system"]["system"]
    return [
        EvalResult(
            task_type="text-generation",
            dataset_type="held-out",
            dataset_name=f"{share['of']} held-out questions",
            metric_type="exact_match",
            metric_name=f"exact match, {what}",
            metric_value=round(100 * share["share"], 1),
            verified=False,
        )
        for what, share in shares.items()
    ]


def readme(folder: Path, repository: str, has_licence: bool) -> bytes:
    """Write the page of a repository: what the hub reads, then the model card."""
    from huggingface_hub import ModelCardData

    manifest, figures = read_json(folder / "manifest.json"), read_json(folder / "figures.json")
    base = manifest["base"]
    name = repository.rpartition("/")[2]
    fields = licence_fields(base.get("licence") or "unknown", has_licence)
    if base.get("kind") == "hub":
        fields["base_model"] = base["model"]
    if found := results(figures):
        fields |= {"model_name": name, "eval_results": found}
    tags = ["ingot", *(["gguf"] if manifest["served"] else []), *(["lora"] if figures["system"] else [])]
    data = ModelCardData(**fields, pipeline_tag="text-generation", tags=tags)
    terms = terms_of(base.get("licence"))
    notice = f"\n{terms.notice}\n" if terms else ""
    how = (
        f"\n## Serve it\n\n```sh\nhf download {repository} --local-dir {name}\ningot verify {name}\n"
        f"ingot serve {name}\n```\n"
        if manifest["served"]
        else ""
    )
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    return f"---\n{data.to_yaml()}\n---\n{card.rstrip()}\n{how}{notice}".encode()


def items(folder: Path, repository: str, licence: Path | None) -> list[Item]:
    """List all that goes: the files of a release, its page, and the text of a licence.

    Raises InputError if something in the folder is no plain file.
    """
    if odd := odd_entries(folder):
        raise InputError("\n  ".join([f"{folder}: this is no release as Ingot makes it:", *odd]))
    names = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    own = [Item(name, path) for name, path in names.items() if not is_hidden(name) and not is_of_hub(name)]
    texts = [Item(LICENCE, licence.read_bytes())] if licence else []
    return [Item(README, readme(folder, repository, bool(licence))), *texts, *own]


def is_hidden(name: str) -> bool:
    """Tell whether a file, or a folder that it is in, has a name with a dot in front, as marks of other programs do."""
    return any(part.startswith(".") for part in name.split("/"))


def left_over(names: list[str], going: list[Item]) -> Iterator[str]:
    """Yield what a repository has from an earlier release and this one has not."""
    kept = {item.name for item in going} | {".gitattributes"}
    yield from (name for name in names if name not in kept)
