"""Measure a GGUF file as its Hugging Face parent was measured, and check that both read text as the same tokens."""

from pathlib import Path

from ingot.inference.gguf_model import Engine, open_engine
from ingot.io.records import read_records
from ingot.measuring.answers import Item, item_of, judged
from ingot.measuring.measurement import write_measurement
from ingot.measuring.predictions import predict
from ingot.text import chat


def token_mismatches(engine: Engine, items: list[Item]) -> int:
    """Return in how many conversations llama.cpp's token ids differ from those of training and evaluation."""
    wrong = 0
    for item in items:
        expected = chat.encode(engine.tokenizer, item.instruction, item.response).ids
        question = engine.tokenize(chat.prompt_text(engine.tokenizer, item.instruction))
        answer = engine.tokenize(item.response + engine.tokenizer.eos_token)
        wrong += question + answer != expected
    return wrong


def measure_gguf(
    gguf: Path,
    tokenizer: Path,
    test: Path,
    benchmark: Path,
    report: Path,
    logprobs: Path,
    answers: Path,
    *,
    quant: str,
    context: int,
    longest: int,
    fidelity_tokens: int,
    threads: int,
) -> None:
    """Write the figures, predictions and answers of the GGUF; `tokenizer` is the folder that training used."""
    engine = open_engine(gguf, tokenizer, context, threads)
    held_out = [item_of(record) for record in read_records(test)]
    items = [item_of(record) for record in read_records(benchmark)]
    conversations = (chat.encode(engine.tokenizer, item.instruction, item.response) for item in held_out)
    prediction = predict(engine.logits, conversations, fidelity_tokens)
    engine.use(None)
    rows = judged(items, engine.ask([item.instruction for item in items], longest))
    mismatches = token_mismatches(engine, held_out + items)
    write_measurement(quant, prediction, rows, mismatches, (report, logprobs, answers))
