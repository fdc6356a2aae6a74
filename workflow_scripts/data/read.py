"""Read a part of a source, whatever its format and shape, into records of one shape; list the rows that are none."""

import json
from dataclasses import replace
from pathlib import Path

from ingot.curation.accounting import Books
from ingot.curation.personal import find_personal, find_secrets
from ingot.curation.shapes import Labels, record_of
from ingot.io.formats import Part, Row, by_id, rows
from ingot.io.progress import progress
from ingot.io.records import Record
from ingot.settings.data import Read, Shape
from ingot.text.forms import unit_hash


def place_of(row: Row, path: Path) -> Record:
    """Return what is listed of a row that is no record: where it is.

    Not how it begins: nobody can say for sure where a secret is in what cannot be read.
    """
    return {"file": str(path), "row": row.number}


def with_answer(row: Row, known: dict[str, Record]) -> Row:
    """Give a row the fields of the answer with its `id`, if there is one."""
    if not known or not isinstance(row.value, dict):
        return row
    return replace(row, value=known.get(str(row.value.get("id")), {}) | row.value)


def clear(record: Record, region: str) -> None:
    """Forget what else is accepted as an answer if it holds a secret or personal data: filters see the texts alone."""
    accepted = json.dumps(record["metadata"].get("accepted"), ensure_ascii=False)
    if "accepted" in record["metadata"] and (find_secrets(accepted) or find_personal(accepted, region)):
        del record["metadata"]["accepted"]


def read(
    source: Path,
    answers: list[Path],
    records: Path,
    rejected: Path,
    report: Path,
    *,
    settings: Read,
    format: str | None,
    shape: Shape | None,
    sample: float,
    labels: Labels,
    part: Part,
    region: str,
) -> None:
    """Write the records of one part of a source, and list the rows that are none by their place.

    `sample` is the share of the records to take. Which ones are taken depends only on their content. A row gets the
    fields of the object with its `id` in the files of `answers`.
    """
    known = by_id(answers, settings, format)
    with Books(records, rejected, report, region) as books:
        for row in progress(rows(source, format, settings, part), source.name, "row"):
            record, reason = record_of(with_answer(row, known), labels, shape)
            if record is not None:
                clear(record, region)
            if record is None:
                books.reject(place_of(row, source), "read", reason, size=len(row.excerpt))
            elif sample < 1 and unit_hash(record["id"]) >= sample:
                books.reject(record, "read", "not_sampled")
            else:
                books.keep(record)
