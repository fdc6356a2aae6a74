"""Read the benchmark files, whatever their shape, into items of one shape; a broken item stops the build."""

from pathlib import Path

from ingot.curation.shapes import record_of
from ingot.errors import InputError
from ingot.io.formats import Limits, Shard, rows
from ingot.io.records import Record, write_json, write_records


def name_of(path: Path, paths: list[Path]) -> str:
    """Return a short name of a benchmark file that no other one of `paths` has."""
    same = [other for other in paths if other.name == path.name]
    return path.name if len(same) == 1 else str(path)


def items_of(path: Path, name: str, limits: Limits) -> list[Record]:
    """Return the items of one file; InputError names the row of one that cannot be asked or judged.

    A source record may be lost, since it is listed; a benchmark item may not, since it would be trained on.
    """
    items = []
    defaults = {"domain": "all", "difficulty": "medium", "source": name, "licence": None}
    for row in rows(path, None, limits, Shard(0, 1)):
        item, reason = record_of(row, defaults, None)
        if item is None:
            raise InputError(
                f"{path}:{row.number}: this benchmark item cannot be used ({reason}); an item needs a question, an"
                " answer, and a checker that fits the answer"
            )
        items.append(item)
    return items


def read_benchmarks(files: list[Path], benchmark: Path, report: Path, *, row_bytes: int, unpacking: int) -> None:
    """Write the items of all `files` in order, and how many each has."""
    items: list[Record] = []
    counts = {}
    for path in files:
        name = name_of(path, files)
        found = items_of(path, name, Limits(row_bytes, unpacking))
        counts[name] = len(found)
        items += found
    write_records(benchmark, items)
    write_json(report, {"items": counts})
