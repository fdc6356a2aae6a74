"""Bring a tokenizer into the workspace from a folder on this machine, for a build of data without a model."""

from pathlib import Path

from ingot.converting.llama_cpp_tools import refuse_remote_code
from ingot.converting.received import check_object, load_tokenizer
from ingot.errors import InputError


def fetch_tokenizer(folder: list[Path], tokenizer: Path, *, model: str) -> None:
    """Write the tokenizer of the folder `model`, loaded and saved anew. Neither code nor pickles are loaded.

    `folder` names it, too, so that the step runs again when its files change.
    """
    source = Path(model)
    if not (source / "tokenizer_config.json").exists():
        raise InputError(f"{model}: no tokenizer_config.json; it is not the folder of a Hugging Face tokenizer")
    for name in ("config.json", "tokenizer_config.json"):
        if (source / name).exists():
            check_object(source / name)
    refuse_remote_code(source)
    loaded = load_tokenizer(source)
    if not loaded.is_fast:
        raise InputError(f"{model}: no tokenizer.json can be made of it; save it as a fast tokenizer first")
    loaded.save_pretrained(tokenizer)
