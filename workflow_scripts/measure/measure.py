"""Measure a Hugging Face checkpoint of the chain: answers, perplexity, likeness to its parent."""

from pathlib import Path

from ingot.inference.checkpoint import Checkpoint
from ingot.io.records import read_records
from ingot.measuring.answers import item_of, judged
from ingot.measuring.measurement import write_measurement
from ingot.measuring.predictions import predict
from ingot.text import chat


def measure(
    checkpoint: list[Path],
    tokenizer: Path,
    test: Path,
    benchmark: Path,
    report: Path,
    logprobs: Path,
    answers: Path,
    *,
    model: str,
    batch: int,
    longest: int,
    fidelity_tokens: int,
    threads: int,
) -> None:
    """Write the figures, predictions and answers of `model`: its `checkpoint` is one folder, or a base and an adapter.

    `tokenizer` is the folder of the one that training used; the model's own must read every text as the same tokens.
    """
    import torch
    from transformers import AutoTokenizer

    torch.set_num_threads(threads)
    asked = Checkpoint(checkpoint, batch)
    own, trained = asked.tokenizer, AutoTokenizer.from_pretrained(tokenizer)
    held_out = [item_of(record) for record in read_records(test)]
    items = [item_of(record) for record in read_records(benchmark)]
    conversations = (chat.encode(own, item.instruction, item.response) for item in held_out)
    prediction = predict(asked.logits, conversations, fidelity_tokens)
    prompts = [chat.prompt_text(own, item.instruction) for item in items]
    rows = judged(items, asked.complete(prompts, longest))
    mismatches = sum(
        chat.encode(own, item.instruction, item.response) != chat.encode(trained, item.instruction, item.response)
        for item in held_out + items
    )
    write_measurement(model, prediction, rows, mismatches, (report, logprobs, answers))
