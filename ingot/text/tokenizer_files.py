"""A tokenizer travels along the chain as the files that it came in: no step writes it anew, so none can change it."""

import shutil
from pathlib import Path

NAMES = (
    "tokenizer.json",
    "tokenizer.model",  # llama.cpp makes the vocabulary of Gemma, Phi and the like of it
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy the files of a tokenizer from one folder to another."""
    target.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)
