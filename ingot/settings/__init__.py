"""The settings: what can be set, what is allowed there, and how a preset and config.yaml become one whole."""
