"""Progress of long work: a live bar on a terminal, a line now and then in a log file."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], what: str, unit: str, total: int | None = None, done: int = 0) -> Iterable[T]:
    """Yield `items` and show how far along they are. `done`: so many of them were done before."""
    live = sys.stderr.isatty()
    bar: Iterable[T] = tqdm(
        items,
        what,
        total,
        unit=unit,
        initial=done,
        mininterval=0.2 if live else 10,
        ncols=100 if not live else None,
        ascii=not live,
    )
    return bar
