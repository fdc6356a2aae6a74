"""Bring the base model into the workspace: from a folder on this machine, or from the Hugging Face hub."""

import json
from pathlib import Path

from lib.llama_cpp_tools import refuse_remote_code
from lib.records import InputError, write_json

ALLOWED = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")  # no pickled weights, no code


def fetch_hub(model: str, revision: str) -> Path:
    """Return the local snapshot of a hub model at `revision`; InputError where it can be had neither here nor there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(ALLOWED)))
    except LocalEntryNotFoundError:
        raise InputError(
            f"{model} at revision {revision} is not in the local hub cache, and the hub cannot be reached; download it"
            " on a machine that can, or set `base.kind: local` and `base.path`"
        ) from None
    except HfHubHTTPError as error:
        raise InputError(
            f"the hub refuses {model} at revision {revision} ({str(error).splitlines()[0]}); check `base.model` and"
            " `base.revision`, and log in if the model is gated"
        ) from None


def check_checkpoint(folder: Path) -> None:
    """Raise InputError unless the folder holds a configuration, a tokenizer and whole safetensors files, and no code."""
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


def fetch(base: Path, report: Path, *, kind: str, model: str, revision: str, dtype: str) -> None:
    """Write the checkpoint, loaded once and saved anew as safetensors, and where it came from.

    `kind` is hub (`model` an id) or local (`model` a folder).
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = fetch_hub(model, revision) if kind == "hub" else Path(model)
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
        {"kind": kind, "model": model, "commit": commit, "type": config["model_type"], "parameters": network.num_parameters()},
    )
