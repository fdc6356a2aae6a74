"""Read a part of a source, whatever its format and shape, into records of one shape; list the rows that are none."""

from pathlib import Path

from ingot.curation.accounting import Books
from ingot.curation.redaction import excerpt
from ingot.curation.shapes import Labels, record_of
from ingot.io.formats import Part, Row, rows
from ingot.io.progress import progress
from ingot.io.records import Record
from ingot.settings.data import Read, Shape
from ingot.text.forms import unit_hash

EXCERPT = 200  # characters of a rejected row that are kept as evidence
LOOKED_AT = 20_000  # characters of it that are searched for secrets


def place_of(row: Row, path: Path, region: str) -> Record:
    """Return what is listed of a row that is no record: where it is, and how it begins."""
    text = row.excerpt.decode("utf-8", "backslashreplace") if row.reason else str(row.value)
    shown = excerpt(text.encode("utf-8", "backslashreplace").decode()[:LOOKED_AT], EXCERPT, region)
    return {"file": str(path), "row": row.number, "excerpt": shown}


def read(
    source: Path,
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
    """Write the records of one part of a source, and list the rows that are none, without secrets.

    `sample` is the share of the records to take. Which ones are taken depends only on their content.
    """
    with Books(records, rejected, report, region) as books:
        for row in progress(rows(source, format, settings, part), source.name, "row"):
            record, reason = record_of(row, labels, shape)
            if record is None:
                books.reject(place_of(row, source, region), "read", reason, size=len(row.excerpt))
            elif sample < 1 and unit_hash(record["id"]) >= sample:
                books.reject(record, "read", "not_sampled")
            else:
                books.keep(record)
