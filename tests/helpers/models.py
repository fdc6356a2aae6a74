"""Asking a model in memory."""

from ingot.text import chat


def answer_of(model, question, longest):
    """What a model answers to one question."""
    return model.complete([chat.prompt_text(model.tokenizer, question)], [longest])[0]
