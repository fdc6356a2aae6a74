"""Measure a GGUF file in the same way as its parent, and check that both turn texts into the same tokens."""

from pathlib import Path

from ingot.inference.gguf_model import GgufModel, open_gguf
from ingot.io.records import Record, read_records
from ingot.measuring.measurement import write_measurement
from ingot.settings.measure import Measure
from ingot.text import chat


def token_mismatches(model: GgufModel, records: list[Record]) -> int:
    """Count the conversations that llama.cpp turns into other tokens than the tokenizer of training."""
    mismatches = 0
    for question, answer in {(record["instruction"], record["response"]) for record in records}:
        expected = chat.encode(model.tokenizer, question, answer).ids
        prompt = model.tokenize(chat.prompt_text(model.tokenizer, question))
        mismatches += prompt + model.tokenize(answer + model.tokenizer.eos_token) != expected
    return mismatches


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
    open_too: bool,
    context: int,
    work: Path,
    threads: int,
) -> None:
    """Write the report, the predictions and the answers of a GGUF file.

    `tokenizer` is the folder of the tokenizer that training used. The report counts the texts that llama.cpp turns into
    other tokens.
    """
    loaded = open_gguf(model, tokenizer, context, threads, work=work)
    held_out, questions = list(read_records(texts)), list(read_records(benchmark))
    mismatches = token_mismatches(loaded, held_out + questions)
    write_measurement(name, loaded, held_out, questions, mismatches, settings, open_too, (report, logprobs, answers))
