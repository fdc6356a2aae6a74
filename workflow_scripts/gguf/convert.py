"""Convert the last checkpoint of the chain to a 16-bit GGUF file. Every other type is made from it."""

from pathlib import Path

from ingot.converting import llama_cpp_tools
from ingot.converting.probe import probe


def convert(model: Path, gguf: Path, *, name: str) -> None:
    """Write the GGUF file in F16, with the model's `name` in it. InputError if llama.cpp reads texts in another way."""
    llama_cpp_tools.convert("convert_hf_to_gguf.py", model, gguf, "--outtype", "f16", "--model-name", name)
    probe(gguf, model)
