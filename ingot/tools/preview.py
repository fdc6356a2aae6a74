"""Write a page with the records of a step and open it: `make preview STEP=filtered`, or `STEP=filtered.rejected`."""

import itertools
import sys
import webbrowser
from pathlib import Path

from ingot.errors import InputError
from ingot.io.records import Record, read_records
from ingot.pages.page import brief, brief_rejection, page_of

SHOWN = 2000
TEMPLATE = Path(__file__).resolve().parent.parent / "pages/templates/preview.html"


def files_of(step: str) -> list[Path]:
    """Return the files of records that a step has written: one, or one per part of the sources."""
    folder = Path("results/data")
    found = [path for path in (folder / f"{step}.jsonl",) if path.exists()]
    found += sorted(folder.glob(f"parts/*/*/{step}.jsonl"))
    if not found:
        known = {path.name.removesuffix(".jsonl") for path in folder.rglob("*.jsonl")}
        raise InputError(
            f"STEP={step}: no such records; there are: {', '.join(sorted(known)) or 'none, run make first'}"
        )
    return found


def shown(record: Record) -> Record:
    """Return what the page shows of a record, kept or rejected."""
    return brief_rejection(record) if "filter" in record else brief(record)


def preview(step: str, page: Path) -> int:
    """Write the page of a step; return the number of its records."""
    rows, total = [], 0
    files = files_of(step)
    for path in files:
        records = read_records(path)
        first = list(itertools.islice(records, SHOWN // len(files)))
        rows += [shown(record) for record in first]
        total += len(first) + sum(1 for _ in records)
    page.write_text(page_of(TEMPLATE, title=step, rows=rows, total=total), encoding="utf-8")
    return total


if __name__ == "__main__":
    target = Path("results/preview.html")
    try:
        preview(sys.argv[1], target)
    except InputError as error:
        raise SystemExit(f"ingot: preview: {error}") from None
    print(target)
    webbrowser.open(target.absolute().as_uri())
