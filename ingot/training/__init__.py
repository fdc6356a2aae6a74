"""Training and one-shot compression of models that are in memory."""
