"""A release as a repository of a hub: its files, its page, and what licences want beside them."""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.container import sha256 as sha256_of
from ingot.io.records import read_json
from ingot.release.checks import is_of_hub, odd_entries
from ingot.release.licences import FREE, licences_with_terms, terms_of
from ingot.release.signature import SIGNATURE, TIMESTAMP

README, LICENCE, NOTICE = "README.md", "LICENSE", "NOTICE"


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
        return sha256(self.content).hexdigest() if isinstance(self.content, bytes) else sha256_of(self.content)


def licence_fields(licence: str, link: bool) -> dict[str, Any]:
    """Say a licence in the words of the hub, which has names of its own for some of them."""
    known = FREE.get(licence.casefold())
    terms = terms_of(licence)
    if known or terms:
        return {"license": known or (terms and terms.filled(terms.hub_name, licence))}
    name = re.sub(r"[^a-z0-9.]+", "-", licence.casefold()).strip("-")
    return {"license": "other", "license_name": name, **({"license_link": LICENCE} if link else {})}


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
    check = f"ingot verify {name} --key FILE\n" if (folder / SIGNATURE).is_file() else ""
    serve = f"ingot serve {name}\n" if manifest["served"] else ""
    labels = [f"\n{terms.label}\n" for terms in licences_with_terms(manifest).values() if terms.label]
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8").rstrip()
    how = f"\n## Get it\n\n```sh\nhf download {repository} --local-dir {name}\n{check}{serve}```\n"
    return f"---\n{data.to_yaml()}\n---\n{card}\n{how}{''.join(labels)}".encode()


def items(folder: Path, repository: str, licence: Path | None) -> list[Item]:
    """List all that goes: the files of a release, its page, and what licences want beside them.

    Raises InputError if something in the folder is no plain file, or if its figures are not those of a release.
    """
    if odd := odd_entries(folder):
        raise InputError("\n  ".join([f"{folder}: this is no release as Ingot makes it:", *odd]))
    try:
        page = readme(folder, repository, bool(licence))
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"{folder}: no page can be made of its figures and card ({error!r}); build it again") from None
    notices = [
        terms.filled(terms.notice, name)
        for name, terms in licences_with_terms(read_json(folder / "manifest.json")).items()
    ]
    names = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return [
        Item(README, page),
        *([Item(LICENCE, licence)] if licence else []),
        *([Item(NOTICE, "\n".join([*notices, ""]).encode())] if notices else []),
        *(Item(name, path) for name, path in names.items() if name != TIMESTAMP and not is_of_hub(name)),
    ]
