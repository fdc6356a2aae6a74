"""Records on disk: JSON and JSON Lines, read and written, with errors that name the file and the line."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ingot.errors import InputError

Record = dict[str, Any]


def read_lines(path: Path, loads: Callable[[bytes], Any]) -> Iterator[tuple[bytes, Record]]:
    """Yield the lines of a JSON Lines file that a step of ours wrote, each with its record.

    `loads` decodes a line: `json.loads`, or `orjson.loads` where that is installed. InputError names a broken line.
    """
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield line, loads(line)
            except ValueError as error:
                raise InputError(
                    f"{path}:{number}: not a JSON record ({error}); the file was changed or cut off: delete it and run"
                    " again"
                ) from None


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records of a JSON Lines file that a step of ours wrote; InputError names a broken line."""
    return (record for _, record in read_lines(path, lambda line: json.loads(line.decode())))


def write_records(path: Path, records: Iterable[Record]) -> int:
    """Write records as JSON Lines, and return how many there were."""
    count = 0
    with open(path, "w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += 1
    return count


def of_difficulty(records: Iterable[Record], difficulties: Sequence[str]) -> list[Record]:
    """Return the records of the wanted difficulties; InputError if there are none."""
    chosen = [record for record in records if record["metadata"]["difficulty"] in difficulties]
    if not chosen:
        raise InputError(f"no record of difficulty {difficulties}; set `adapt.difficulties` to what your data has")
    return chosen


def read_json(path: Path) -> Any:
    """Read a JSON file; InputError names it if it is broken."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error}); delete it and run again") from None


def write_json(path: Path, value: Any) -> None:
    """Write a report as indented JSON with a final newline."""
    Path(path).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def sample(records: list[Record], count: int) -> list[Record]:
    """Take the `count` records with the lowest ids. Ids are hashes, so this is like drawing at random."""
    return sorted(records, key=lambda record: record["id"])[:count]
