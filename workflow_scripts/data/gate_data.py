"""Gate the data: no model may be trained on what it is measured with."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from ingot.curation.accounting import parsed
from ingot.curation.overlap import BenchmarkIndex
from ingot.errors import InputError
from ingot.io.progress import progress
from ingot.io.records import Record, read_records, write_json
from ingot.settings.data import Decontaminate
from ingot.text.checkers import OPEN
from ingot.text.forms import normalise

SHOWN = 5  # of the records that close the gate
TOGETHER = 2000  # records compared in one call


def repeated(path: Path, asked: dict[str, Path], index: BenchmarkIndex | None, items: list[Record]) -> Iterator[str]:
    """Yield a line for each record of a file that repeats something asked.

    `asked` has the questions, in normal form, with the files that they are in. With an index of the benchmark items,
    other ways to repeat one of them count, too.
    """
    waiting = iter(progress((record for _, record in parsed(path)), path.name, "record"))
    while batch := list(itertools.islice(waiting, TOGETHER)):
        matches = index.find_all(batch) if index else [None] * len(batch)
        for record, match in zip(batch, matches, strict=True):
            what = f"{match.how}: {items[match.item]['instruction'][:80]!r}" if match else ""
            if source := asked.get(normalise(record["instruction"])):
                what = f"the same question is in {source}"
            if what:
                yield f"{path}: {record['instruction'][:80]!r}: {what}"


def gate_data(
    trained: list[Path],
    pretrained: list[Path],
    benchmarks: list[Path],
    test: Path,
    benchmark: Path,
    verdict: Path,
    *,
    settings: Decontaminate,
    domains: list[str],
    right_answers: bool,
    open_answers: bool,
) -> None:
    """Write the verdict if nothing that is trained on repeats what is asked; else raise InputError that shows both.

    `benchmark` is what models are measured by. If gates count `right_answers`, a checker must be able to tell some of
    them; if they are on `open_answers`, some must be open. Of each of the `domains` that get a modifier, a checker must
    be able to tell some: else the modifier could not be judged in the end.

    Records of `trained` may not repeat a benchmark item in any way that `decontaminate` knows. No question of the test
    set may be in them, and none of the benchmark or the test set in `pretrained`. Near duplicates of the test set need
    no check here: they were dropped before it was split off.
    """
    kinds = {(item["metadata"]["domain"], item["metadata"]["checker"]) for item in read_records(benchmark)}
    checkers = {checker for _, checker in kinds}
    if unasked := [one for one in domains if not any(one == domain and kind != OPEN for domain, kind in kinds)]:
        raise InputError(
            f"{benchmark}: none of its questions is of domain {', '.join(unasked)} and has an answer that a checker can"
            f" check, so the modifier could not be judged; its domains are {sorted({domain for domain, _ in kinds})}."
            " Give some questions this `domain`, or leave it out of `modifiers.domains`"
        )
    if right_answers and not checkers - {OPEN}:
        raise InputError(
            f"{benchmark}: no checker can tell whether an answer to one of its questions is right, but gates count"
            " right answers; name a `checker`, ask other questions, or set these limits to null and use `max_open_loss`"
        )
    if open_answers and OPEN not in checkers:
        raise InputError(
            f"{benchmark}: none of its questions is open, but gates have limits on open answers (`max_open_loss`,"
            " `min_open_score`); ask open questions, or set these limits to null"
        )
    items = [item for path in benchmarks for item in read_records(path)]
    places = {normalise(item["instruction"]): path for path in [*benchmarks, test] for item in read_records(path)}
    index = BenchmarkIndex(items, settings)
    lines = [
        line
        for path in [*trained, *pretrained]
        for line in repeated(path, places, index if path in trained else None, items)
    ]
    if lines:
        more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        raise InputError("what is evaluated is also trained on:\n  " + "\n  ".join([*lines[:SHOWN], *more]))
    write_json(verdict, {"passed": True})
