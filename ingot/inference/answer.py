"""What every model returns to a prompt, and how it is asked, whatever runs it."""

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Answer:
    """What a model answered, whether it ended by itself, and the mean probability of its tokens, if that was asked."""

    text: str
    stopped: bool
    confidence: float | None = None


class Backend(Protocol):
    """A model in memory: a checkpoint or a GGUF file."""

    tokenizer: Any

    def complete(self, prompts: list[str], longest: int, temperature: float = 0.0) -> list[Answer]:
        """Answer rendered prompts with at most `longest` tokens each: greedily, or sampled at a temperature."""

    def logits(self, ids: list[int]) -> Any:
        """Return the logits [t, vocabulary] along token ids [t]; those at i are for token i + 1."""
