"""How far the predictions of a model are from those before it was changed."""

from collections.abc import Iterator
from typing import Any


class Divergence:
    """Keeps what a model predicts along some conversations, and compares it with what the same model predicts later."""

    def __init__(self, network: Any, conversations: list[list[int]]) -> None:
        """Predict every token as the model is. `conversations` are ids of tokens."""
        self.network, self.conversations = network, conversations
        self.before = list(self.predictions())

    def predictions(self) -> Iterator[Any]:
        """Compute the log-probabilities [tokens, vocabulary] along each conversation."""
        import torch

        with torch.inference_mode():
            for ids in self.conversations:
                given = torch.tensor([ids], device=self.network.device)
                yield torch.log_softmax(self.network(given, use_cache=False).logits[0].float(), -1)

    def now(self) -> float:
        """Compute the mean KL divergence of the predictions from those before, in nats."""
        total = sum(
            float((wanted.exp() * (wanted - given)).sum())
            for wanted, given in zip(self.before, self.predictions(), strict=True)
        )
        return total / sum(map(len, self.conversations))
