"""What a model got wrong on training-side prompts, in one schema, whoever collects it and whoever learns from it."""

import random

from ingot.io.records import Record
from ingot.text.checkers import is_readable

KINDS = ("wrong", "error", "unended", "tie", "loss")
"""wrong: another answer than the reference; error: code or JSON that cannot be read; unended: cut off at the longest
answer; tie, loss: a judge found the reference as good, or better."""


def kind_of(answer: Record) -> str:
    """Return in what way a wrong answer (ingot.measuring.answers) fails."""
    if not answer["stopped"]:
        return "unended"
    return "wrong" if is_readable(answer["checker"], answer["answer"]) else "error"


def failure(record: Record, kind: str, answer: str, model: str) -> Record:
    """Return a record of the data stage as a failure: the record, with what `model` answered and how that fails."""
    return {**record, "failure": {"kind": kind, "answer": answer, "model": model}}


def with_rehearsal(failed: list[Record], passed: list[Record], share: float, seed: int) -> list[Record]:
    """Return what to train on: all that was failed and, so that nothing is forgotten, `share` as many passed ones."""
    return failed + random.Random(seed).sample(passed, min(len(passed), round(share * len(failed))))
