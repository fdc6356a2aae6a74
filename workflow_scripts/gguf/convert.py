"""Convert the last checkpoint of the chain to a 16-bit GGUF file. Every other type is made from it."""

from pathlib import Path

from ingot.converting.llama_cpp_tools import convert_model
from ingot.converting.probe import probe


def convert(model: Path, gguf: Path, *, name: str) -> None:
    """Write the GGUF file in F16, with the model's `name` in it. InputError if llama.cpp reads texts in another way."""
    convert_model(model, gguf, name)
    probe(gguf, model)
