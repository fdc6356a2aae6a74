"""Evaluate a Hugging Face checkpoint of the chain on a suite."""

from pathlib import Path

from ingot.inference.checkpoint import Checkpoint
from ingot.measuring.harness import write_evaluation


def ask_suite(
    checkpoint: list[Path],
    tokenizer: Path,
    questions: Path,
    task: Path,
    parent: list[Path],
    report: Path,
    answers: Path,
    *,
    model: str,
    suite: str,
    batch: int,
    longest: int,
    context: int,
    threads: int,
) -> None:
    """Write how many items of a suite `model` gets right, and every answer; see ingot.measuring.harness."""
    import torch
    from transformers import AutoTokenizer

    torch.set_num_threads(threads)
    trained = AutoTokenizer.from_pretrained(tokenizer)
    names = {"model": model, "suite": suite}
    outputs = (report, answers)
    write_evaluation(Checkpoint(checkpoint, batch), trained, questions, task, parent, outputs, names, longest, context)
