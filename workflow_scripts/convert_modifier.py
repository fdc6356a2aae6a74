"""Convert a modifier's adapter to a GGUF LoRA, which llama.cpp lays over the quantised base."""

from pathlib import Path

from lib import llama_cpp_tools


def convert_modifier(adapter: Path, scaled: Path, lora: Path) -> None:
    """Write the LoRA in 16 bit; `scaled` is the checkpoint that it was trained on."""
    llama_cpp_tools.convert("convert_lora_to_gguf.py", adapter, lora, "--base", str(scaled), "--outtype", "f16")
