"""Failures: training prompts that a model answered wrong, with its answers. Every step uses this one format."""

import random

from ingot.io.records import Record
from ingot.text.checkers import is_readable

KINDS = ("wrong", "error", "unended", "tie", "loss")
"""wrong: the answer is not the reference; error: its code or JSON cannot be read; unended: it was cut off at the
longest answer allowed; tie, loss: a judge found the reference as good, or better."""


def kind_of(answer: Record) -> str:
    """Say in what way a wrong answer fails. `answer` is a row as in ingot.measuring.answers."""
    if not answer["stopped"]:
        return "unended"
    return "wrong" if is_readable(answer["checker"], answer["answer"]) else "error"


def failure(record: Record, kind: str, answer: str, model: str) -> Record:
    """Add to a record what `model` answered, and in what way the answer fails."""
    return {**record, "failure": {"kind": kind, "answer": answer, "model": model}}


def with_rehearsal(failed: list[Record], passed: list[Record], share: float, seed: int) -> list[Record]:
    """Put together what to train on: all failed records, and a random sample of passed ones against forgetting.

    There are `share` times as many passed records as failed ones, or all of them if they are fewer.
    """
    return failed + random.Random(seed).sample(passed, min(len(passed), round(share * len(failed))))
