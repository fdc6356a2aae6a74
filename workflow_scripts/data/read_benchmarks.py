"""Read the benchmark files, whatever their format and shape, into items of one shape; a broken item stops the build."""

from pathlib import Path

from ingot.curation.shapes import Labels, record_of, seen
from ingot.errors import InputError
from ingot.io.formats import WHOLE, rows
from ingot.io.records import Record, write_json, write_records
from ingot.settings.data import Read
from ingot.text.chat import template_token_in


def name_of(path: Path, paths: list[Path]) -> str:
    """Return a short name of a benchmark file that no other one of `paths` has."""
    namesakes = [other for other in paths if other.name == path.name]
    return path.name if len(namesakes) == 1 else str(path)


def items_of(path: Path, name: str, settings: Read) -> list[Record]:
    """Read the items of a file; InputError names the row of an item that cannot be asked or judged.

    A record of a source may be lost, since it is listed. A benchmark item may not: it would then be trained on.
    """
    items = []
    labels = Labels(source=name, domain="all", difficulty="medium", licence=None)
    for row in rows(path, None, settings, WHOLE):
        item, reason = record_of(row, labels, None)
        if item is None:
            what = ": ".join(filter(None, (reason, seen(row, reason, None, labels))))
            raise InputError(
                f"{path}:{row.number}: this benchmark item cannot be used ({what}); an item needs a question, an"
                " answer, and a checker that fits the answer"
            )
        if token := template_token_in(f"{item['instruction']}\n{item['response']}"):
            raise InputError(
                f"{path}:{row.number}: this benchmark item holds {token!r}, which a tokenizer reads as a mark of a"
                " turn, and not as text; remove the token or the item"
            )
        items.append(item)
    return items


def read_benchmarks(files: list[Path], benchmark: Path, report: Path, *, settings: Read) -> None:
    """Write the items of all files, in order, and how many each file has."""
    items: list[Record] = []
    counts = {}
    for path in files:
        name = name_of(path, files)
        items_of_file = items_of(path, name, settings)
        counts[name] = len(items_of_file)
        items += items_of_file
    write_records(benchmark, items)
    write_json(report, {"items": counts})
