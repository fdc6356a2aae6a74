"""Choose the questions that every model answers, where there are more than need be asked."""

from collections import defaultdict
from pathlib import Path

from ingot.io.records import Record, read_records, sample, write_records


def choose_asked(benchmark: Path, asked: Path, *, most: int) -> None:
    """Write `most` questions of each domain at most, drawn by their ids, in the order of the benchmark."""
    domains: dict[str, list[Record]] = defaultdict(list)
    questions = list(read_records(benchmark))
    for question in questions:
        domains[question["metadata"]["domain"]].append(question)
    chosen = {question["id"] for of_domain in domains.values() for question in sample(of_domain, most)}
    write_records(asked, [question for question in questions if question["id"] in chosen])
