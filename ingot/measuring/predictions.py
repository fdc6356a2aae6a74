"""Predict the tokens of reference answers, for the perplexity of a model and for how alike two models are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingot.errors import InputError

BLOCK = 256  # tokens whose predictions are compared at a time


@dataclass(frozen=True)
class Prediction:
    """The predictions of a model at each token of reference answers.

    `tokens` are the token ids [tokens]. `logprobs` are log-probabilities [tokens, vocabulary] in float16.
    """

    tokens: Any
    logprobs: Any

    def save(self, path: Path) -> None:
        """Write the predictions to a safetensors file."""
        from safetensors.numpy import save_file

        save_file({"tokens": self.tokens, "logprobs": self.logprobs}, path)

    @classmethod
    def load(cls, path: Path) -> "Prediction":
        """Read what `save` wrote."""
        from safetensors.numpy import load_file

        tensors = load_file(path)
        return cls(tensors["tokens"], tensors["logprobs"])

    def finds_references(self) -> Any:
        """Tell for each reference token whether it is the likeliest, bool [tokens]."""
        return self.logprobs.argmax(-1) == self.tokens

    def perplexity(self) -> float:
        """Compute the perplexity: exp of the mean negative log-likelihood of the reference tokens."""
        import numpy as np

        of_references = self.logprobs[np.arange(len(self.tokens)), self.tokens].astype(np.float32)
        return float(np.exp(-of_references.mean()))


def log_likelihood(logits: Any, conversation: Any) -> float:
    """Compute the mean log-likelihood of an answer's tokens, in nats. `logits` are those along the conversation."""
    import numpy as np

    rows = np.asarray(logits, dtype=np.float32)[conversation.prompt - 1 : -1]
    rows = rows - rows.max(-1, keepdims=True)
    answer = conversation.ids[conversation.prompt :]
    return float((rows[np.arange(len(answer)), answer] - np.log(np.exp(rows).sum(-1))).mean())


def predict(logits_of: Callable[[list[int]], Any], conversations: Iterator[Any], limit: int) -> Prediction:
    """Predict the answers of `conversations`, until there are `limit` tokens.

    A conversation is an ingot.text.chat.Encoded. `logits_of` maps token ids [tokens] to logits [tokens, vocabulary];
    position i predicts token i + 1. The last conversation is predicted to its end, even beyond the limit.

    Raises InputError if there are no conversations.
    """
    import numpy as np

    tokens: list[int] = []
    rows: list[Any] = []
    for conversation in conversations:
        if len(tokens) >= limit:
            break
        logits = np.asarray(logits_of(conversation.ids), dtype=np.float32)[conversation.prompt - 1 : -1]
        logits = logits - logits.max(-1, keepdims=True)
        rows.append((logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float16))
        tokens += conversation.ids[conversation.prompt :]
    if not tokens:
        raise InputError("there is no held-out conversation to measure on; raise the test share in `split`")
    return Prediction(np.array(tokens, dtype=np.int32), np.concatenate(rows))


def compare_tokens(child: Prediction, parent: Prediction) -> tuple[Any, Any]:
    """Compare two predictions at each token.

    Returns the KL divergence (parent || child) in nats, float64 [tokens], and whether both find the same token the
    likeliest, bool [tokens]. A log-probability too low for float16 (-inf) is read as -65504. So a token that the parent
    excludes adds nothing.

    Raises RuntimeError if the two were not measured on the same tokens.
    """
    import numpy as np

    if not np.array_equal(child.tokens, parent.tokens):
        raise RuntimeError("child and parent were measured on different tokens: their tokenizers disagree")
    divergences, agree = [], []
    for start in range(0, len(child.tokens), BLOCK):  # not all at once: a vocabulary may have 150,000 tokens
        ours, theirs = (
            np.maximum(one.logprobs[start : start + BLOCK].astype(np.float32), -65504.0) for one in (child, parent)
        )
        divergences.append((np.exp(theirs) * (theirs - ours)).sum(axis=1, dtype=np.float64))
        agree.append(ours.argmax(-1) == theirs.argmax(-1))
    return np.concatenate(divergences), np.concatenate(agree)


def likeness(child: Prediction, parent: Prediction) -> dict[str, float]:
    """Compare the predictions of a child with those of its parent. See `compare_tokens` for errors.

    Returns:
        `top1_agreement`: the share of tokens, from 0 to 1, for which both find the same token the likeliest; `kl`: the
        mean KL divergence (parent || child) in nats; `perplexity_ratio`: the child's perplexity over the parent's.
    """
    divergences, agree = compare_tokens(child, parent)
    return {
        "top1_agreement": round(float(agree.mean()), 4),
        "kl": round(float(divergences.mean()), 5),
        "perplexity_ratio": round(child.perplexity() / parent.perplexity(), 4),
    }
