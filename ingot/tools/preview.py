"""Write a page with the records of a step and open it: `ingot preview STEP [--full]`, such as filtered.rejected.

The lists of rejected records are without secrets and personal data. With --full, the records are shown as they were
read. The page is for this machine only.
"""

import itertools
import sys
import webbrowser
from pathlib import Path

from ingot.errors import InputError
from ingot.io.records import Record, read_records
from ingot.pages.browser import brief, brief_rejection
from ingot.pages.page import page_of
from ingot.studio.records import files_of

SHOWN = 2000
PAGE = Path("results/preview.html")


def shown(record: Record) -> Record:
    """Return what the page shows of a record, kept or rejected."""
    return brief_rejection(record) if "filter" in record else brief(record)


def as_read(rejected: list[Record], path: Path) -> list[Record]:
    """Return rejected records with the text that they had when they were read, where that is still here."""
    read = path.with_name("records.jsonl")
    ids = {row["record"].get("metadata", {}).get("original_id", row["id"]) for row in rejected}
    whole = {record["id"]: record for record in read_records(read) if record["id"] in ids} if read.exists() else {}
    return [
        {**row, "record": whole.get(row["record"].get("metadata", {}).get("original_id", row["id"]), row["record"])}
        for row in rejected
    ]


def preview(step: str, page: Path, full: bool = False) -> int:
    """Write the page of a step; return the number of its records."""
    rows: list[Record] = []
    total = 0
    files = files_of(step)
    for path in files:
        records = read_records(path)
        first = list(itertools.islice(records, SHOWN // len(files)))
        rows += map(shown, as_read(first, path) if full and step.endswith(".rejected") else first)
        total += len(first) + sum(1 for _ in records)
    page.write_text(page_of("preview.html", title=step, rows=rows, total=total), encoding="utf-8")
    return total


def main() -> None:
    """Show the records of the step that the command line names."""
    arguments = [word for word in sys.argv[1:] if word != "--full"]
    if len(arguments) != 1:
        raise SystemExit(__doc__)
    try:
        preview(arguments[0], PAGE, full="--full" in sys.argv)
    except InputError as error:
        raise SystemExit(f"ingot: preview: {error}") from None
    print(PAGE)
    webbrowser.open(PAGE.absolute().as_uri())


if __name__ == "__main__":
    main()
