"""From checkpoints and adapters to GGUF, by llama.cpp's converters."""
