"""Convert the last checkpoint of the chain to a 16-bit GGUF file. Every other type is made from it."""

from pathlib import Path

from ingot.converting import llama_cpp_tools


def convert(model: Path, gguf: Path, *, name: str) -> None:
    """Write the GGUF file in F16. `name` is the name of the model in the file."""
    llama_cpp_tools.convert("convert_hf_to_gguf.py", model, gguf, "--outtype", "f16", "--model-name", name)
