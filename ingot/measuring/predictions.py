"""What models predict along reference answers: perplexity, and how alike two models are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingot.errors import InputError


@dataclass(frozen=True)
class Prediction:
    """What a model predicts along reference answers: token ids [n] and log-probabilities [n, vocabulary], float16."""

    tokens: Any
    logprobs: Any

    def save(self, path: Path) -> None:
        """Write to a safetensors file."""
        from safetensors.numpy import save_file

        save_file({"tokens": self.tokens, "logprobs": self.logprobs}, path)

    @classmethod
    def load(cls, path: Path) -> "Prediction":
        """Read back what `save` wrote."""
        from safetensors.numpy import load_file

        tensors = load_file(path)
        return cls(tensors["tokens"], tensors["logprobs"])

    def perplexity(self) -> float:
        """Return exp of the mean negative log-likelihood of the reference tokens."""
        import numpy as np

        chosen = self.logprobs[np.arange(len(self.tokens)), self.tokens].astype(np.float32)
        return float(np.exp(-chosen.mean()))


def predict(logits_of: Callable[[list[int]], Any], conversations: Iterator[Any], limit: int) -> Prediction:
    """Collect predictions along the answers of `conversations` (ingot.text.chat.Encoded), `limit` tokens in all.

    `logits_of` maps token ids [t] to logits [t, vocabulary]; position i predicts token i + 1.
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


def likeness(child: Prediction, parent: Prediction) -> dict[str, float]:
    """Return top-1 agreement, mean KL(parent || child) in nats, and the ratio of the perplexities.

    Raises RuntimeError if the two were not measured on the same tokens. A log-probability that float16 cannot hold
    (-inf) is read as -65504, so that a token which the parent excludes adds nothing.
    """
    import numpy as np

    if not np.array_equal(child.tokens, parent.tokens):
        raise RuntimeError("child and parent were measured on different tokens: their tokenizers disagree")
    ours = np.maximum(child.logprobs.astype(np.float32), -65504.0)
    theirs = np.maximum(parent.logprobs.astype(np.float32), -65504.0)
    divergence = (np.exp(theirs) * (theirs - ours)).sum(-1).mean()
    agreement = (ours.argmax(-1) == theirs.argmax(-1)).mean()
    return {
        "top1_agreement": round(float(agreement), 4),
        "kl": round(float(divergence), 5),
        "perplexity_ratio": round(child.perplexity() / parent.perplexity(), 4),
    }
