"""The terms of a prompt, by which prompts are told apart: its words, and its pairs of words."""

import itertools

from ingot.text.forms import words


def terms(prompt: str) -> list[str]:
    """List words and word pairs of a prompt, with its beginning ^ and end $; each digit run is one kind of word."""
    singles = ["0" if word.isdigit() else word for word in words(prompt)]
    return singles + [f"{a} {b}" for a, b in itertools.pairwise(["^", *singles, "$"])]
