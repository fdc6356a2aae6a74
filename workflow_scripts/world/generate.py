"""Write the tiny world: sources in three shapes with planted flaws, a benchmark, and texts to pretrain on."""

import gzip
import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path

from ingot.io.records import Record, write_records
from ingot.settings.world import Generate
from ingot.world import tasks
from ingot.world.flaws import damage, plant


def alpaca(record: Record) -> Record:
    """Shape a task as Alpaca does, with an empty `input`."""
    return {"instruction": record["instruction"], "input": "", "output": record["response"], **labels(record)}


def messages(record: Record) -> Record:
    """Shape a task as a conversation."""
    turns = [
        {"role": "user", "content": record["instruction"]},
        {"role": "assistant", "content": record["response"]},
    ]
    return {"messages": turns, **labels(record)}


def question(record: Record) -> Record:
    """Shape a task as question and answer."""
    return {"question": record["instruction"], "answer": record["response"], **labels(record)}


def labels(record: Record) -> Record:
    """Return what a source says about a record beside its text."""
    return {name: record[name] for name in ("domain", "difficulty", "checker")}


SHAPES: dict[str, Callable[[Record], Record]] = {"alpaca": alpaca, "messages": messages, "question": question}


def source_line(record: Record, shape: str) -> bytes:
    """Return the line of a record in a source; it is broken or wrongly encoded if the record was planted as such."""
    return damage(json.dumps(SHAPES[shape](record), ensure_ascii=False).encode(), record.get("_plant"))


def write_source(path: Path, lines: list[bytes]) -> None:
    """Write the lines of a source, packed as the ending of its name says, without a time stamp."""
    data = b"".join(line + b"\n" for line in lines)
    if ".gz" in path.suffixes:
        data = gzip.compress(data, mtime=0)
    elif ".zst" in path.suffixes:
        import zstandard

        data = zstandard.ZstdCompressor().compress(data)
    path.write_bytes(data)


def draw(count: int, seed: int, mix: tasks.Mix, low: float, high: float, unique: bool) -> list[Record]:
    """Draw tasks with prompts whose unit hash lies in [low, high)."""
    stream = tasks.tasks(seed, mix, low, high, unique)
    return [vars(task) for task in itertools.islice(stream, count)]


def generate(
    alpaca: Path,
    messages: Path,
    question: Path,
    pretraining: Path,
    benchmark: Path,
    truth: Path,
    *,
    settings: Generate,
    test_share: float,
    seed: int,
) -> None:
    """Write three sources, the pretraining corpus, the benchmark, and the truth about what was planted where.

    `split` gives the end of the hash range, `test_share` of it, to the test set. Prompts of the benchmark come from
    there, and those of the pretraining corpus from the rest, so that no model has seen a question that it is asked.
    """
    counts = settings.counts
    mix: tasks.Mix = {
        domain: {difficulty: share for difficulty, share in shares.items() if tasks.has(domain, difficulty)}
        for domain, shares in settings.mix.items()
    }
    easy: tasks.Mix = {domain: {"easy": 1.0} for domain in mix}
    border = 1 - test_share
    items = draw(counts.benchmark, seed + 1, mix, border, 1.0, unique=True)
    corpus = draw(counts.pretraining, seed + 2, easy, 0.0, border, unique=False)
    records = draw(counts.records, seed + 3, mix, 0.0, 1.0, unique=True)
    mixed = plant(records, items, settings.plants, random.Random(seed))
    write_records(benchmark, items)
    write_records(pretraining, ({name: task[name] for name in ("instruction", "response")} for task in corpus))
    planted: list[Record] = []
    for place, (shape, path) in enumerate({"alpaca": alpaca, "messages": messages, "question": question}.items()):
        share = mixed[place :: len(SHAPES)]
        write_source(path, [source_line(record, shape) for record in share])
        planted += [
            {"shape": shape, "line": number, "plant": record["_plant"]}
            for number, record in enumerate(share, 1)
            if "_plant" in record
        ]
    write_records(truth, planted)
