"""Bring the base model into the workspace: from a folder on this machine, or from the Hugging Face hub."""

import json
import sys
from pathlib import Path

from ingot.converting.llama_cpp_tools import refuse_remote_code
from ingot.errors import InputError
from ingot.io.records import write_json

ALLOWED = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]  # no pickled weights, no code


def from_hub(model: str, revision: str, download: bool) -> Path | None:
    """Return the local snapshot of a hub model, downloading it if wanted; without, None means that it can be had.

    Raises InputError where it is neither in the local cache nor to be had from the hub.
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


def check_checkpoint(folder: Path) -> None:
    """Raise InputError unless the folder holds a configuration, a tokenizer, whole safetensors, and no code."""
    from safetensors import SafetensorError, safe_open

    for name in ("config.json", "tokenizer_config.json"):
        if not (folder / name).exists():
            raise InputError(f"{folder}: no {name}; it is not the folder of a Hugging Face checkpoint")
    refuse_remote_code(folder)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise InputError(f"{folder}: no *.safetensors; pickled weights (.bin, .pt) are not loaded, convert them first")
    for file in weights:
        try:
            with safe_open(file, "pt") as tensors:
                tensors.keys()
        except SafetensorError as error:
            raise InputError(f"{file}: cut off or damaged ({error}); fetch it again") from None


def fetch(folder: list[Path], base: Path, report: Path, *, kind: str, model: str, revision: str, dtype: str) -> None:
    """Write the checkpoint, loaded once and saved anew as safetensors, and where it came from.

    `kind` is hub (`model` an id) or local (`folder` holds one, which is `model`).
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = from_hub(model, revision, download=True) if kind == "hub" else Path(model)
    assert source is not None
    check_checkpoint(source)
    tokenizer = AutoTokenizer.from_pretrained(source)
    if tokenizer.chat_template is None:
        raise InputError(f"{model}: its tokenizer has no chat template; use an instruction-tuned model")
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        # With pad = end the loss would leave the end token out, and the model would never learn to stop.
        spare = next((t for t in ("<|finetune_right_pad_id|>", "<|pad|>", "<pad>") if t in tokenizer.get_vocab()), None)
        if spare is None:
            raise InputError(f"{model}: no pad token of its own; add one to its tokenizer first")
        tokenizer.pad_token = spare
    network = AutoModelForCausalLM.from_pretrained(source, dtype=getattr(torch, dtype))
    network.save_pretrained(base)
    tokenizer.save_pretrained(base)
    commit = source.name if kind == "hub" else None
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    write_json(
        report,
        {
            "kind": kind,
            "model": model,
            "commit": commit,
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
