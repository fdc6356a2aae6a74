"""Evaluate a GGUF file on a suite, in this process."""

from pathlib import Path

from ingot.inference.gguf_model import open_engine
from ingot.measuring.harness import write_evaluation


def ask_suite_gguf(
    gguf: Path,
    tokenizer: Path,
    questions: Path,
    task: Path,
    parent: list[Path],
    report: Path,
    answers: Path,
    *,
    quant: str,
    suite: str,
    context: int,
    longest: int,
    threads: int,
) -> None:
    """Write how many items of a suite the GGUF gets right, and every answer; see ingot.measuring.harness."""
    from transformers import AutoTokenizer

    engine = open_engine(gguf, tokenizer, context, threads)
    engine.use(None)
    trained = AutoTokenizer.from_pretrained(tokenizer)
    names = {"model": quant, "suite": suite}
    write_evaluation(engine, trained, questions, task, parent, (report, answers), names, longest, context)
