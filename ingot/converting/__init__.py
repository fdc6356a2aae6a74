"""Convert checkpoints and adapters to GGUF, with llama.cpp's converters."""
