"""Measure a checkpoint of the chain: its answers to the benchmark, and its predictions along held-out texts."""

from pathlib import Path

from ingot.inference.checkpoint import Checkpoint
from ingot.io.records import read_records
from ingot.measuring.measurement import write_measurement
from ingot.settings.measure import Measure
from ingot.text import chat


def measure(
    model: list[Path],
    tokenizer: Path,
    texts: Path,
    benchmark: Path,
    report: Path,
    logprobs: Path,
    answers: Path,
    *,
    name: str,
    settings: Measure,
    threads: int,
) -> None:
    """Write figures, predictions and answers of the model `name`: one folder, or a base and an adapter.

    `tokenizer` is the folder of the one that training used; the model's own must read every text as the same tokens.
    """
    import torch
    from transformers import AutoTokenizer

    torch.set_num_threads(threads)
    checkpoint = Checkpoint(model, settings.batch)
    trained = AutoTokenizer.from_pretrained(tokenizer)
    held_out, questions = list(read_records(texts)), list(read_records(benchmark))
    pairs = {(record["instruction"], record["response"]) for record in held_out + questions}
    mismatches = sum(chat.encode(checkpoint.tokenizer, *pair) != chat.encode(trained, *pair) for pair in pairs)
    write_measurement(name, checkpoint, held_out, questions, mismatches, settings, (report, logprobs, answers))
