"""Write a page with the records of a step and open it: `ingot preview STEP`, such as filtered.rejected."""

import itertools
import sys
import webbrowser
from pathlib import Path

from ingot.errors import InputError
from ingot.io.records import Record, read_records
from ingot.pages.browser import brief, brief_rejection
from ingot.pages.page import page_of

SHOWN = 2000
PAGE = Path("results/preview.html")


def files_of(step: str) -> list[Path]:
    """List the files of records that a step has written: one, or one per part of the sources."""
    folder = Path("results/data")
    whole = folder / f"{step}.jsonl"
    files = [*([whole] if whole.exists() else []), *sorted(folder.glob(f"parts/*/*/{step}.jsonl"))]
    if not files:
        steps = sorted({path.name.removesuffix(".jsonl") for path in folder.rglob("*.jsonl")})
        raise InputError(f"no step has written records called {step!r}; {of_all(steps)}")
    return files


def of_all(steps: list[str]) -> str:
    """Say which records there are."""
    return f"there are {', '.join(steps)}" if steps else "there are none yet: build first"


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
    page.write_text(page_of("preview.html", title=step, rows=rows, total=total), encoding="utf-8")
    return total


def main() -> None:
    """Show the records of the step that the command line names."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    try:
        preview(sys.argv[1], PAGE)
    except InputError as error:
        raise SystemExit(f"ingot: preview: {error}") from None
    print(PAGE)
    webbrowser.open(PAGE.absolute().as_uri())


if __name__ == "__main__":
    main()
