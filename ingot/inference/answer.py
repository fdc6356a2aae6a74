"""What every model returns to a prompt, whatever runs it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What a model answered, whether it ended by itself, and the mean probability of its tokens, if that was asked."""

    text: str
    stopped: bool
    confidence: float | None = None
