"""Ask a GGUF file, or a modifier over it, and write its answers."""

from pathlib import Path

from ingot.inference.gguf_model import open_gguf
from ingot.io.records import read_records, write_records
from ingot.measuring.answers import ask


def ask_gguf(
    model: Path,
    lora: list[Path],
    tokenizer: Path,
    questions: Path,
    answers: Path,
    *,
    longest: int,
    context: int,
    threads: int,
) -> None:
    """Write the answers of a model to all questions; `lora` is [], or the file of its modifier.

    A modifier is asked everything, since it may also spoil what the model answers right without it.
    """
    opened = open_gguf(model, tokenizer, context, threads, {path.stem: path for path in lora})
    for path in lora:
        opened.use(path.stem)
    write_records(answers, ask(opened, list(read_records(questions)), longest))
