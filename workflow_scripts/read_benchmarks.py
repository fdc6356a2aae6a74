"""Read the benchmark files, whatever their shape, into items of one shape; a broken item stops the build."""

from pathlib import Path

from lib.records import InputError, Record, write_json, write_records
from read import read_source


def name_of(path: Path, paths: list[Path]) -> str:
    """Return a short name of a benchmark file that no other one of `paths` has."""
    same = [other for other in paths if other.name == path.name]
    return path.name if len(same) == 1 else str(path)


def items_of(path: Path, name: str, limit: int) -> list[Record]:
    """Return the items of one file; InputError names the line of one that cannot be asked or judged.

    A source record may be lost, since it is listed; a benchmark item may not, since it would be trained on.
    """
    items = []
    for item, refusal in read_source(path, {"domain": "all"}, limit):
        if item is None:
            place = refusal["record"]
            raise InputError(
                f"{path}:{place['line']}: this benchmark item cannot be used ({refusal['reason']}); an item needs a"
                " question, an answer, and a checker that fits the answer"
            )
        item["metadata"]["source"] = name
        items.append(item)
    return items


def read_benchmarks(files: list[Path], benchmark: Path, report: Path, *, max_line_bytes: int) -> None:
    """Write the items of all `files` in order, and how many each has."""
    items: list[Record] = []
    counts = {}
    for path in files:
        name = name_of(path, files)
        found = items_of(path, name, max_line_bytes)
        counts[name] = len(found)
        items += found
    write_records(benchmark, items)
    write_json(report, {"items": counts})
