"""Split a prompt into terms, by which prompts are told apart: its words and its pairs of words."""

import itertools

from ingot.text.forms import words


def terms(prompt: str) -> list[str]:
    """List the words and word pairs of a prompt. In pairs, ^ is its beginning and $ its end; every number is a 0."""
    singles = ["0" if word.isdigit() else word for word in words(prompt)]
    return singles + [f"{a} {b}" for a, b in itertools.pairwise(["^", *singles, "$"])]
