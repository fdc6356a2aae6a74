"""Convert the last checkpoint of the chain to a GGUF file in 16 bit, from which every other type is made."""

from pathlib import Path

from ingot.converting import llama_cpp_tools


def convert(model: Path, gguf: Path, *, name: str) -> None:
    """Write the F16 GGUF; `name` is what the file says the model is called."""
    llama_cpp_tools.convert("convert_hf_to_gguf.py", model, gguf, "--outtype", "f16", "--model-name", name)
