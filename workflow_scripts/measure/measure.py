"""Measure a checkpoint of the chain by its answers to the benchmark and by its predictions of held-out texts."""

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
    open_too: bool,
    work: Path,
    threads: int,
) -> None:
    """Write the report, the predictions and the answers of the model called `name`.

    `model` is the folder of a checkpoint, or the folders of a base and an adapter. `tokenizer` is the folder of the
    tokenizer that training used. The report counts the texts that the model's own tokenizer turns into other tokens.
    """
    import torch
    from transformers import AutoTokenizer

    torch.set_num_threads(threads)
    checkpoint = Checkpoint(model, settings.batch, work)
    trained = AutoTokenizer.from_pretrained(tokenizer)
    held_out, questions = list(read_records(texts)), list(read_records(benchmark))
    pairs = {(record["instruction"], record["response"]) for record in held_out + questions}
    mismatches = sum(chat.encode(checkpoint.tokenizer, *pair) != chat.encode(trained, *pair) for pair in pairs)
    write_measurement(
        name, checkpoint, held_out, questions, mismatches, settings, open_too, (report, logprobs, answers)
    )
