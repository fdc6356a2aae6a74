"""Ask a GGUF file, with or without a modifier over it, and write its answers."""

from pathlib import Path

from ingot.inference.gguf_model import open_gguf
from ingot.io.records import read_records, write_records
from ingot.measuring.answers import ask
from ingot.settings.measure import Longest


def ask_gguf(
    model: Path,
    lora: list[Path],
    tokenizer: Path,
    questions: Path,
    answers: Path,
    *,
    longest: Longest,
    context: int,
    work: Path,
    threads: int,
) -> None:
    """Write the answers of a model to all questions. `lora` is the file of its modifier, or [].

    A modifier is asked the questions of all domains, because it may spoil answers that are right without it.
    """
    loaded = open_gguf(model, tokenizer, context, threads, {path.stem: path for path in lora}, work)
    for path in lora:
        loaded.use(path.stem)
    write_records(answers, ask(loaded, list(read_records(questions)), longest))
