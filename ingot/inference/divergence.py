"""How far the predictions of a model are from those before it was changed."""

from typing import Any

LIKELIEST = 1024
"""Tokens of each prediction that are kept; all others count as one. A vocabulary of 128,000 would fill the memory."""


class Divergence:
    """Keeps what a model predicts along some conversations, and compares it with what the same model predicts later."""

    def __init__(self, network: Any, conversations: list[list[int]]) -> None:
        """Predict every token as the model is. `conversations` are ids of tokens."""
        self.network, self.conversations = network, conversations
        self.before = [self.likeliest(ids) for ids in conversations]

    def predictions(self, ids: list[int]) -> Any:
        """Compute the log-probabilities [tokens, vocabulary] along a conversation."""
        import torch

        given = torch.tensor([ids], device=self.network.device)
        return torch.log_softmax(self.network(given, use_cache=False).logits[0].float(), -1)

    def likeliest(self, ids: list[int]) -> tuple[Any, Any]:
        """Return the log-probabilities of the likeliest tokens, and which they are; both [tokens, LIKELIEST]."""
        import torch

        with torch.inference_mode():
            found = self.predictions(ids)
            values, places = found.topk(min(LIKELIEST, found.shape[-1]))
            return values, places.int()

    def now(self) -> float:
        """Compute the mean KL divergence of the predictions from those before, in nats.

        Where not all tokens are kept it is a lower bound, for the others count as one.
        """
        import torch

        total = 0.0
        with torch.inference_mode():
            for ids, (wanted, places) in zip(self.conversations, self.before, strict=True):
                given = self.predictions(ids).gather(1, places.long())
                total += float((wanted.exp() * (wanted - given)).sum())
                if places.shape[1] == LIKELIEST:
                    rest, other = (1 - kept.exp().sum(1).clamp(max=1 - 1e-7) for kept in (wanted, given))
                    total += float((rest * (rest.log() - other.log())).sum())
        return total / sum(map(len, self.conversations))
