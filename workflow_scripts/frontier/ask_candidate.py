"""Ask a candidate the validation prompts, if it may be the best."""

from pathlib import Path

from ingot.inference.gguf_model import open_gguf
from ingot.io.records import read_json, read_records, write_records
from ingot.measuring.answers import ask
from ingot.settings.measure import Longest


def ask_candidate(
    model: Path,
    tokenizer: Path,
    questions: Path,
    asked: Path,
    answers: Path,
    *,
    longest: Longest,
    context: int,
    work: Path,
    threads: int,
) -> None:
    """Write its answers; none if `asked` says that others beat it."""
    if not read_json(asked)["asked"]:
        write_records(answers, [])
        return
    loaded = open_gguf(model, tokenizer, context, threads, work=work)
    write_records(answers, ask(loaded, list(read_records(questions)), longest))
