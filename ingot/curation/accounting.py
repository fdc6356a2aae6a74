"""Keep the books of a lossy step: the records that go in are those that come out plus those listed as rejected."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from ingot.curation.redaction import redacted
from ingot.errors import InputError
from ingot.io.records import Record, read_lines, write_json

MIXED_BY = ("domain", "difficulty", "source")


class Volume:
    """How much there is of something: records, bytes of their lines, tokens, and their mix."""

    def __init__(self) -> None:
        self.records = self.bytes = self.tokens = 0
        self.mix: dict[str, Counter[str]] = {name: Counter() for name in MIXED_BY}

    def add(self, metadata: Record, size: int, count: int = 1, tokens: int | None = None) -> None:
        """Add one record, or `count` records with the same domain, difficulty and source."""
        self.records += count
        self.bytes += size
        self.tokens += (metadata.get("tokens") or 0) if tokens is None else tokens
        for name, counter in self.mix.items():
            counter[str(metadata.get(name))] += count

    def figures(self) -> dict[str, Any]:
        """Return what a report says of it. Tokens are 0 until `filter` has counted them."""
        mix = {name: dict(sorted(counter.items())) for name, counter in self.mix.items()}
        return {"records": self.records, "bytes": self.bytes, "tokens": self.tokens, "mix": mix}


def rejection(record: Record, filter: str, reason: str, evidence: str = "") -> Record:
    """Return the line that lists a rejected record: which filter refused it, why, and what the filter saw."""
    return {"id": record.get("id"), "filter": filter, "reason": reason, "evidence": evidence, "record": record}


def line_of(record: Record) -> bytes:
    """Return a record as a line of JSON."""
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def parsed(path: Path) -> Iterator[tuple[bytes, Record]]:
    """Yield the lines of a file of records, each with its record; InputError names a broken line."""
    return read_lines(path, orjson.loads)


class Books:
    """Writes the kept and the rejected records of a step as they come, and its report at the end.

    with Books(kept, rejected, report) as books:
        books.keep(record)
        books.reject(record, "length", "too_short", "3 tokens")

    Records that no filter has seen yet may hold secrets. With a `region`, they are masked in the list of the rejected.
    """

    def __init__(self, kept: Path, rejected: Path, report: Path, region: str | None = None) -> None:
        self.report_path, self.region = report, region
        self.kept_file, self.rejected_file = open(kept, "wb"), open(rejected, "wb")  # noqa: SIM115
        self.read, self.kept = Volume(), Volume()
        self.rejected = 0
        self.reasons: dict[str, Counter[str]] = defaultdict(Counter)
        self.details: dict[str, Any] = {}

    def __enter__(self) -> "Books":
        """Return the books, open."""
        return self

    def keep(self, record: Record, line: bytes | None = None) -> None:
        """Pass a record on. `line` is the line that it was read from, if nothing has changed it since."""
        line = line or line_of(record)
        self.kept_file.write(line)
        self.read.add(record["metadata"], len(line))
        self.kept.add(record["metadata"], len(line))

    def keep_line(self, line: bytes) -> None:
        """Pass on a record whose volume the step counts by itself."""
        self.kept_file.write(line)

    def reject(self, record: Record, filter: str, reason: str, evidence: str = "", size: int | None = None) -> None:
        """List a record as rejected. `size` is the length of its line, if that is known."""
        self.read.add(record.get("metadata", {}), len(line_of(record)) if size is None else size)
        self.list_rejected(record, filter, reason, evidence)

    def list_rejected(self, record: Record, filter: str, reason: str, evidence: str = "") -> None:
        """List a record as rejected whose volume the step counts by itself."""
        listed = rejection(record, filter, reason, evidence)
        if self.region is not None:
            listed |= redacted({"record": record, "evidence": evidence}, self.region)
        self.rejected_file.write(line_of(listed))
        self.rejected += 1
        self.reasons[filter][reason] += 1

    def __exit__(self, kind: object, *_: object) -> None:
        """Close the files and, if all went well, write the report.

        Raises RuntimeError if the records in are not the records out plus the rejected: then the step has a defect,
        and its outputs must not be used.
        """
        self.kept_file.close()
        self.rejected_file.close()
        if kind is not None:
            return
        if self.read.records != self.kept.records + self.rejected:
            raise RuntimeError(
                f"{self.read.records} records read, but {self.kept.records} kept and {self.rejected} rejected"
            )
        write_json(self.report_path, {**summary(self.read, self.kept, self.reasons), **self.details})


def summary(read: Volume, kept: Volume, reasons: dict[str, Counter[str]]) -> dict[str, Any]:
    """Return the part of a report that all lossy steps share."""
    return {
        "read": read.records,
        "kept": kept.records,
        "rejected": read.records - kept.records,
        "reasons": {filter: dict(sorted(counts.items())) for filter, counts in sorted(reasons.items())},
        "before": read.figures(),
        "after": kept.figures(),
    }


def require_some(report: dict[str, Any], what: str) -> None:
    """Raise InputError if a step read records and kept none."""
    if report["read"] and not report["kept"]:
        raise InputError(f"none of the {report['read']} records is left: {report['reasons']}; {what}")


def add_up(reports: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Make one report of those of many parts, by adding their numbers at every depth."""
    total: dict[str, Any] = {}
    for report in reports:
        total = plus(total, report)
    return total


def plus(left: Any, right: Any) -> Any:
    """Add two values of reports: mappings by key, numbers, lists."""
    if isinstance(left, dict):
        return {
            key: plus(left[key], right[key]) if key in left and key in right else (left | right)[key]
            for key in left | right
        }
    return left + right
