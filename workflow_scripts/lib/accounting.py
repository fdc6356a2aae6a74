"""The books of a lossy step: what went in is what came out plus what is listed as rejected."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lib.records import InputError, Record, write_json, write_records


def rejection(record: Record, reason: str, evidence: str = "") -> Record:
    """Return a record as it is listed among the rejected: the reason and its evidence beside the record itself."""
    return {"reason": reason, "evidence": evidence, "record": record}


def close_books(
    read: int,
    kept: Iterable[Record],
    rejected: list[Record],
    paths: tuple[Path, Path, Path],
    **details: Any,
) -> None:
    """Write kept records, rejected records and the report to `paths`, and make sure that the counts add up.

    Raises RuntimeError when they do not: that is a defect of the step, and its outputs must not be used. Raises
    InputError when nothing is left.
    """
    kept_path, rejected_path, report_path = paths
    count = write_records(kept_path, kept)
    write_records(rejected_path, rejected)
    if read != count + len(rejected):
        raise RuntimeError(f"{read} records read, but {count} kept and {len(rejected)} rejected")
    reasons = dict(sorted(Counter(r["reason"] for r in rejected).items()))
    if read and not count:
        raise InputError(f"none of the {read} records is left: {reasons}; loosen the settings of this step")
    write_json(report_path, {"read": read, "kept": count, "rejected": len(rejected), "reasons": reasons, **details})
