"""Read a part of a source, whatever its format and shape, into records of one shape; list the rows that are none."""

import json
from dataclasses import replace
from pathlib import Path

from ingot.curation.accounting import Books
from ingot.curation.personal import find_personal, find_secrets
from ingot.curation.redaction import redacted
from ingot.curation.shapes import Labels, record_of, seen
from ingot.errors import InputError
from ingot.io.formats import Part, Row, by_id, rows
from ingot.io.progress import progress
from ingot.io.records import Record
from ingot.settings.data import Fields, Read, Shape
from ingot.text.forms import unit_hash

LEAST_ROWS = 10
"""Rows of a part, all of them no records, that are no accident."""
MOST_OPTIONLESS = 0.1
"""The share of answers that may name no option before the way in which they name options is doubted."""


def optional_fields(shape: Shape | None) -> list[str]:
    """List the fields that a source names for what goes before or after a question. A row may lack them."""
    if not isinstance(shape, Fields):
        return []
    choices = [shape.choices] if isinstance(shape.choices, str) else shape.choices or []
    return [name for name in (shape.system, shape.input, *choices) if name]


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


def no_record(source: Path, books: Books, hint: str) -> str:
    """Say why no row of a part can become a record."""
    reasons = ", ".join(f"{reason} {count} times" for reason, count in books.reasons["read"].most_common())
    return (
        f"{source}: none of {books.rejected} rows can become a record: {reasons}{f' ({hint})' if hint else ''}; see"
        " docs/data.md for these reasons, and for `shape` and `checker` of its source"
    )


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
    usable, unseen, hint, no_option = False, set(optional_fields(shape)), "", ""
    with Books(records, rejected, report, region) as books:
        for row in progress(rows(source, format, settings, part), source.name, "row"):
            whole = with_answer(row, known)
            record, reason = record_of(whole, labels, shape)
            if record is not None:
                usable = True
                unseen -= whole.value.keys()
                clear(record, region)
            if record is None:
                hint = seen(whole, reason, shape, labels)
                no_option = hint if reason == "answer_is_no_option" else no_option
                books.reject(place_of(row, source), "read", reason, hint, len(row.excerpt))
            elif sample < 1 and unit_hash(record["id"]) >= sample:
                books.reject(record, "read", "not_sampled")
            else:
                books.keep(record)
        if usable and unseen:
            raise InputError(f"{source}: no row has the field {min(unseen)!r}, which the `shape` of its source names")
        optionless = books.reasons["read"]["answer_is_no_option"]
        if usable and optionless >= LEAST_ROWS and optionless > MOST_OPTIONLESS * (books.kept.records + books.rejected):
            such_as = redacted(no_option, region)
            raise InputError(
                f"{source}: {optionless} answers name no option, such as: {such_as}. If `first_choice` of its `shape`"
                " is wrong, the others name wrong ones; if it is right, drop these rows"
            )
        if not usable and books.rejected >= LEAST_ROWS:
            raise InputError(no_record(source, books, redacted(hint, region)))
