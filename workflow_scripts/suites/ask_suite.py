"""Ask a checkpoint of the chain the items of a suite."""

from pathlib import Path

from ingot.inference.checkpoint import Checkpoint
from ingot.measuring.harness import write_evaluation


def ask_suite(
    model: list[Path],
    tokenizer: Path,
    questions: Path,
    task: Path,
    parent: list[Path],
    report: Path,
    answers: Path,
    *,
    name: str,
    suite: str,
    batch: int,
    longest: int,
    context: int,
    threads: int,
) -> None:
    """Write how many items of a suite the model `name` gets right, and every answer; see ingot.measuring.harness."""
    import torch
    from transformers import AutoTokenizer

    torch.set_num_threads(threads)
    trained = AutoTokenizer.from_pretrained(tokenizer)
    names = {"model": name, "suite": suite}
    outputs = (report, answers)
    write_evaluation(Checkpoint(model, batch), trained, questions, task, parent, outputs, names, longest, context)
