"""What is measured of every model, whatever runs it: exact match, perplexity, and likeness to its parent."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.checkers import is_right
from lib.records import InputError, Record, write_json, write_records
from lib.significance import proportion


@dataclass(frozen=True)
class Item:
    """A question that a model is asked."""

    instruction: str
    response: str
    domain: str
    difficulty: str
    checker: str


@dataclass(frozen=True)
class Answer:
    """What a model answered, whether it ended by itself, and the mean probability of its tokens, if that was asked."""

    text: str
    stopped: bool
    confidence: float | None = None


def item_of(record: Record) -> Item:
    """Return the question in a record of the data stage or a benchmark item."""
    labels = record["metadata"]
    return Item(record["instruction"], record["response"], labels["domain"], labels["difficulty"], labels["checker"])


def judged(items: list[Item], answers: list[Answer]) -> list[Record]:
    """Return one record per question: what was asked, answered and expected, and whether it is right."""
    return [
        {**vars(item), "answer": a.text, "stopped": a.stopped, "right": is_right(item.checker, a.text, item.response)}
        for item, a in zip(items, answers, strict=True)
    ]


def exact_match(rows: list[Record]) -> dict[str, Any]:
    """Return the share of right answers over all, per domain, and, where rows say it, per domain and difficulty."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        finer = {f"{row['domain']}/{row['difficulty']}"} if "difficulty" in row else set()
        for name in {"all", row["domain"]} | finer:  # a domain may be called "all"
            groups[name].append(row["right"])
    return {name: proportion(sum(marks), len(marks)) for name, marks in sorted(groups.items())}


def domain_shares(rows: list[Record]) -> dict[str, float]:
    """Return the share of right answers of every domain."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        groups[row["domain"]].append(row["right"])
    return {domain: sum(marks) / len(marks) for domain, marks in sorted(groups.items())}


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
    """Collect predictions along the answers of `conversations` (lib.chat.Encoded), `limit` tokens in all.

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


def write_measurement(
    name: str,
    prediction: Prediction,
    rows: list[Record],
    token_mismatches: int,
    paths: tuple[Path, Path, Path],
) -> None:
    """Write report, predictions and answers of a model."""
    report_path, logprobs_path, answers_path = paths
    report = {
        "model": name,
        "perplexity": round(prediction.perplexity(), 4),
        "tokens": len(prediction.tokens),
        "exact_match": exact_match(rows),
        "unstopped": sum(not row["stopped"] for row in rows),
        "token_mismatches": token_mismatches,
    }
    prediction.save(logprobs_path)
    write_records(answers_path, rows)
    write_json(report_path, report)
