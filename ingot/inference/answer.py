"""The interface of every model in memory, and the answers that it gives."""

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Answer:
    """The answer of a model to a prompt."""

    text: str
    stopped: bool
    """Whether the model ended the answer by itself. If not, it was cut off."""
    confidence: float | None = None
    """The geometric mean of the probabilities of the answer's tokens, if the backend computes it."""


class Backend(Protocol):
    """A model in memory: a checkpoint or a GGUF file."""

    tokenizer: Any

    def complete(self, prompts: list[str], limits: list[int], temperature: float = 0.0) -> list[Answer]:
        """Answer prompts that are already in the chat template, each with at most so many tokens.

        Answers are greedy at temperature 0, and sampled at any other.
        """

    def logits(self, ids: list[int]) -> Any:
        """Compute the logits [tokens, vocabulary] along token ids [tokens]. Those at i are for token i + 1."""
