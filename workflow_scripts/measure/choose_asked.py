"""Choose the questions that every model answers, where there are more than need be asked."""

from collections import defaultdict
from pathlib import Path

from ingot.io.records import Record, read_records, sample, write_records
from ingot.text.checkers import OPEN


def choose_asked(benchmark: Path, asked: Path, *, most: int, checked: bool) -> None:
    """Write `most` questions of each domain at most, drawn by their ids, in the order of the benchmark.

    `checked` leaves out those that no checker can check.
    """
    domains: dict[str, list[Record]] = defaultdict(list)
    questions = [
        question for question in read_records(benchmark) if not checked or question["metadata"]["checker"] != OPEN
    ]
    for question in questions:
        domains[question["metadata"]["domain"]].append(question)
    chosen = {question["id"] for of_domain in domains.values() for question in sample(of_domain, most)}
    write_records(asked, [question for question in questions if question["id"] in chosen])
