"""Ask a GGUF file the items of a suite."""

from pathlib import Path

from ingot.inference.gguf_model import open_gguf
from ingot.measuring.harness import write_evaluation


def ask_suite_gguf(
    model: Path,
    tokenizer: Path,
    questions: Path,
    task: Path,
    parent: list[Path],
    report: Path,
    answers: Path,
    *,
    name: str,
    suite: str,
    context: int,
    longest: int,
    work: Path,
    threads: int,
) -> None:
    """Write how many items of a suite a GGUF file answers right, and every answer.

    The arguments and errors are those of ingot.measuring.harness.write_evaluation.
    """
    from transformers import AutoTokenizer

    loaded = open_gguf(model, tokenizer, context, threads, work=work)
    trained = AutoTokenizer.from_pretrained(tokenizer)
    names = {"model": name, "suite": suite}
    write_evaluation(loaded, trained, questions, task, parent, (report, answers), names, longest, context)
