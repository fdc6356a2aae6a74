"""Ask a checkpoint, with or without an adapter, and write its answers."""

from pathlib import Path

from ingot.inference.checkpoint import Checkpoint
from ingot.io.records import read_records, write_records
from ingot.measuring.answers import ask
from ingot.settings.measure import Longest


def ask_checkpoint(
    model: list[Path],
    questions: Path,
    answers: Path,
    *,
    batch: int,
    longest: Longest,
    work: Path,
    seed: int,
    threads: int,
) -> None:
    """Write the answers of a model to all questions. If there are no questions, the model is not loaded.

    `model` is the folder of a checkpoint, or the folders of a base and an adapter.
    """
    import torch

    to_ask = list(read_records(questions))
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    write_records(answers, ask(Checkpoint(model, batch, work), to_ask, longest, open_too=True) if to_ask else [])
