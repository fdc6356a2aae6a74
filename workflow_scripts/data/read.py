"""Read a part of a source, whatever its shape, into records of one shape; what cannot be read is listed, not lost."""

from pathlib import Path

from ingot.curation.accounting import Books
from ingot.curation.shapes import record_of
from ingot.io.formats import Limits, Row, Shard, rows
from ingot.io.progress import progress
from ingot.io.records import Record
from ingot.text.forms import unit_hash

EXCERPT = 200  # bytes of a rejected row that are kept as evidence


def place_of(row: Row, path: Path) -> Record:
    """Return what is listed of a row that is no record: where it is, and how it begins."""
    excerpt = row.excerpt if row.reason else str(row.value).encode("utf-8", "backslashreplace")
    return {"file": str(path), "row": row.number, "excerpt": excerpt[:EXCERPT].decode("utf-8", "backslashreplace")}


def read(
    source: Path,
    records: Path,
    rejected: Path,
    report: Path,
    *,
    format: str | None,
    shape: str | dict[str, str] | None,
    defaults: Record,
    sample: float,
    shard: int,
    shards: int,
    row_bytes: int,
    unpacking: int,
) -> None:
    """Write the records of one shard of a source; `defaults` is the metadata that its records lack.

    `sample` is the share of the records to take; which ones depends on nothing but their content.
    """
    limits = Limits(row_bytes, unpacking)
    with Books(records, rejected, report) as books:
        for row in progress(rows(source, format, limits, Shard(shard, shards)), source.name, "row"):
            record, reason = record_of(row, defaults, shape)
            if record is None:
                books.reject(place_of(row, source), "read", reason, size=len(row.excerpt))
            elif sample < 1 and unit_hash(record["id"]) >= sample:
                books.reject(record, "read", "not_sampled")
            else:
                books.keep(record)
