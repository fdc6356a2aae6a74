"""Measure a model in the same way whatever runs it: by its answers to the benchmark, and by its predictions."""

from pathlib import Path

from ingot.inference.answer import Backend
from ingot.io.records import Record, write_json, write_records
from ingot.measuring.answers import ask, exact_match, likelihoods, with_likelihoods
from ingot.measuring.predictions import predict
from ingot.settings.measure import Measure
from ingot.text import chat


def write_measurement(
    name: str,
    model: Backend,
    texts: list[Record],
    questions: list[Record],
    token_mismatches: int,
    settings: Measure,
    open_too: bool,
    paths: tuple[Path, Path, Path],
) -> None:
    """Measure a model, and write its report, predictions and answers to `paths`, in this order.

    It answers the `questions`, with `open_too` the open ones among them, and predicts the tokens of `texts`, which are
    held-out conversations.
    `token_mismatches` goes into the report: it counts the conversations that became other tokens than in training.
    """
    report_path, logprobs_path, answers_path = paths
    conversations = (chat.encode(model.tokenizer, text["instruction"], text["response"]) for text in texts)
    prediction = predict(model.logits, conversations, settings.fidelity_tokens)
    rows = with_likelihoods(model, ask(model, questions, settings.longest, open_too))
    prediction.save(logprobs_path)
    write_records(answers_path, rows)
    write_json(
        report_path,
        {
            "model": name,
            "perplexity": round(prediction.perplexity(), 4),
            "tokens": len(prediction.tokens),
            "exact_match": exact_match(rows),
            "likelihoods": likelihoods(rows),
            "unstopped": sum(row["stopped"] is False for row in rows),
            "token_mismatches": token_mismatches,
        },
    )
