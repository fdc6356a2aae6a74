"""Measure a GGUF file as its parent was measured, and check that both read text as the same tokens."""

from pathlib import Path

from ingot.inference.gguf_model import GgufModel, open_gguf
from ingot.io.records import Record, read_records
from ingot.measuring.measurement import write_measurement
from ingot.settings.measure import Measure
from ingot.text import chat


def token_mismatches(model: GgufModel, records: list[Record]) -> int:
    """Return how many conversations llama.cpp reads as other tokens than the tokenizer of training."""
    wrong = 0
    for question, answer in {(record["instruction"], record["response"]) for record in records}:
        expected = chat.encode(model.tokenizer, question, answer).ids
        prompt = model.tokenize(chat.prompt_text(model.tokenizer, question))
        wrong += prompt + model.tokenize(answer + model.tokenizer.eos_token) != expected
    return wrong


def measure_gguf(
    model: Path,
    tokenizer: Path,
    texts: Path,
    benchmark: Path,
    report: Path,
    logprobs: Path,
    answers: Path,
    *,
    name: str,
    settings: Measure,
    context: int,
    threads: int,
) -> None:
    """Write figures, predictions and answers of a GGUF file; `tokenizer` is the folder that training used."""
    opened = open_gguf(model, tokenizer, context, threads)
    held_out, questions = list(read_records(texts)), list(read_records(benchmark))
    mismatches = token_mismatches(opened, held_out + questions)
    write_measurement(name, opened, held_out, questions, mismatches, settings, (report, logprobs, answers))
