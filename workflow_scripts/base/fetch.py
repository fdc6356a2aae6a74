"""Bring the base into the workspace, from a folder on this machine or from the Hugging Face hub."""

import json
import sys
from pathlib import Path

from ingot.converting.received import (
    bring_tokenizer,
    check_files,
    check_together,
    load_network,
    load_tokenizer,
    set_special_tokens,
    settle_template,
)
from ingot.errors import InputError
from ingot.io.records import write_json
from ingot.settings.base import Dtype

ALLOWED = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]  # no pickled weights, no code


def from_hub(model: str, revision: str | None, download: bool) -> Path | None:
    """Return the local copy of a hub model, and download it if need be.

    Without `download`, None means that it could be downloaded. InputError if the hub refuses it or cannot be reached.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    where = f"{model} at revision {revision}"
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=ALLOWED, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    try:
        if download:
            return Path(snapshot_download(model, revision=revision, allow_patterns=ALLOWED))
        HfApi().auth_check(model)  # a gated model is listed to everybody and given to few
        HfApi().model_info(model, revision=revision, timeout=20)
    except HfHubHTTPError as error:
        raise InputError(
            f"the hub refuses {where} ({str(error).splitlines()[0]}); check `base.model` and `base.revision`, and log"
            " in if the model is gated"
        ) from None
    except Exception as error:
        raise InputError(
            f"{where} is not in the local hub cache, and the hub cannot be reached ({type(error).__name__}); download"
            " it where there is a network, or set `base.kind: local` and `base.model` to a folder"
        ) from None
    return None


def fetch(
    folder: list[Path],
    base: Path,
    report: Path,
    *,
    kind: str,
    model: str,
    revision: str | None,
    template: str | None,
    dtype: Dtype,
) -> None:
    """Write the checkpoint, loaded and saved anew as safetensors, and a report that says where it came from.

    `model` is the id of a hub model if `kind` is hub, and else a folder. `folder` names it, too, so that the step runs
    again when its files change.
    """
    import torch

    source = from_hub(model, revision, download=True) if kind == "hub" else Path(model)
    assert source is not None
    check_files(source)
    tokenizer = load_tokenizer(source)
    settle_template(tokenizer, template, source)
    network = load_network(source, getattr(torch, dtype))
    check_together(network, tokenizer, source)
    set_special_tokens(network, tokenizer)
    if network.config.model_type == "gpt2":
        network.config.n_ctx = network.config.n_positions  # llama.cpp's converter reads the old name
    bring_tokenizer(tokenizer, source, base)
    network.save_pretrained(base)
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    write_json(
        report,
        {
            "kind": kind,
            "model": model,
            "commit": source.name if kind == "hub" else None,
            "type": config["model_type"],
            "parameters": network.num_parameters(),
        },
    )


def main() -> None:
    """Say whether a hub model can be had: `python -m workflow_scripts.base.fetch MODEL REVISION`."""
    try:
        from_hub(sys.argv[1], sys.argv[2], download=False)
    except InputError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
