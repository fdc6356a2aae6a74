"""Run llama.cpp's converters, each in a process of its own. They are scripts in its source archive."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.io.records import read_json, write_json

SOURCES = Path(sys.prefix) / "share/llama.cpp"
SPLITTING = "llama_cpp_pre"
"""The key in tokenizer_config.json that names llama.cpp's way to split texts, for a tokenizer that it does not know."""


def refuse_remote_code(folder: Path) -> None:
    """Raise InputError if loading a model or tokenizer from `folder` could run code that came with it."""
    for name in ("config.json", "tokenizer_config.json"):
        if (folder / name).exists() and "auto_map" in read_json(folder / name):
            raise InputError(f"{folder / name}: it asks to run its own code (auto_map); Ingot runs no code from models")


def own_pattern(folder: Path) -> str | None:
    """Read the pattern by which a tokenizer.json splits texts. None if it has none, or several."""
    path = folder / "tokenizer.json"
    if not path.exists():
        return None
    pre_tokenizer = json.loads(path.read_text(encoding="utf-8")).get("pre_tokenizer") or {}
    parts = pre_tokenizer.get("pretokenizers", ())
    patterns = [part["pattern"]["Regex"] for part in parts if "Regex" in part.get("pattern", {})]
    return patterns[0] if len(patterns) == 1 else None


def name_splitting(tokenizer: Any, folder: Path) -> None:
    """Note in `folder` how llama.cpp splits texts for a tokenizer that it knows. Nothing is noted if it does not."""
    if not SOURCES.is_dir():
        return
    sys.path[:0] = [str(SOURCES), str(SOURCES / "gguf-py")]
    from conversion.base import TextModel

    with contextlib.suppress(NotImplementedError):
        config = read_json(folder / "tokenizer_config.json")
        write_json(
            folder / "tokenizer_config.json", config | {SPLITTING: TextModel.get_vocab_base_pre(None, tokenizer)}
        )


def convert(script: str, model: Path, outfile: Path, *arguments: str) -> None:
    """Run a converter on the folder of a checkpoint, through `ingot.converting.convert_own_tokenizer`.

    Raises InputError if the converter refuses the model. The message ends with the last line that it printed.
    """
    refuse_remote_code(model)
    command = [
        sys.executable,
        "-m",
        "ingot.converting.convert_own_tokenizer",
        script,
        str(model),
        "--outfile",
        str(outfile),
    ]
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(root)}
    finished = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, check=False)
    sys.stderr.write(finished.stderr)
    if finished.returncode:
        last_line = (finished.stderr.strip() or "no message").splitlines()[-1]
        if "pre-tokenizer was not recognized" in last_line:
            last_line = "llama.cpp does not know how its tokenizer splits texts; take another base, or set `gguf: null`"
        raise InputError(f"{script} cannot convert {model}: {last_line}")


def strips_what_follows(folder: Path) -> bool:
    """Tell whether a checkpoint is a Phi 3 whose special tokens swallow the blanks and line breaks after them."""
    if read_json(folder / "config.json").get("model_type") != "phi3":
        return False
    return any(token["special"] and token["rstrip"] for token in read_json(folder / "tokenizer.json")["added_tokens"])


def convert_model(model: Path, gguf: Path, name: str, *arguments: str) -> None:
    """Convert a checkpoint to GGUF in F16, with the model's `name` in it. InputError if the converter refuses it.

    A GGUF file does not say that special tokens swallow what follows. llama.cpp goes by the name of the model.
    """
    known = f"phi-3-{name}" if strips_what_follows(model) else name
    convert("convert_hf_to_gguf.py", model, gguf, "--outtype", "f16", "--model-name", known, *arguments)


def convert_lora(adapter: Path, base: Path, lora: Path, outtype: str) -> None:
    """Convert a LoRA adapter over the checkpoint `base` to GGUF. `outtype` is f32, f16, bf16 or q8_0."""
    convert("convert_lora_to_gguf.py", adapter, lora, "--base", str(base), "--outtype", outtype)
