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
    work: Path,
    threads: int,
) -> None:
    """Write how many items of a suite the model called `name` answers right, and every answer.

    `model` is the folder of a checkpoint, or the folders of a base and an adapter. The other arguments and errors are
    those of ingot.measuring.harness.write_evaluation.
    """
    import torch
    from transformers import AutoTokenizer

    torch.set_num_threads(threads)
    trained = AutoTokenizer.from_pretrained(tokenizer)
    names = {"model": name, "suite": suite}
    loaded = Checkpoint(model, batch, work)
    write_evaluation(loaded, trained, questions, task, parent, (report, answers), names, longest, context)
