"""Ask models: checkpoints, GGUF files and chat endpoints."""
