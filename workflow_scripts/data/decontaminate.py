"""Drop records that repeat an item of a benchmark or suite."""

import itertools
from pathlib import Path

from ingot.curation.accounting import Books, parsed, require_some
from ingot.curation.overlap import BenchmarkIndex
from ingot.io.progress import progress
from ingot.io.records import Record, read_json, read_records
from ingot.settings.data import Decontaminate

EXAMPLES = 20  # contaminated records shown in the report
TOGETHER = 2000  # records compared in one call


def decontaminate(
    records: Path,
    benchmarks: list[Path],
    kept: Path,
    rejected: Path,
    report: Path,
    *,
    settings: Decontaminate,
) -> None:
    """Write the records that repeat no question and no answer of a benchmark; list each of the others with its item.

    `benchmarks` are the files that `read_benchmarks` and `read_suite` wrote, if any.
    """
    items = [item for path in benchmarks for item in read_records(path)]
    index = BenchmarkIndex(items, settings)
    hits = {item["metadata"]["source"]: 0 for item in items}
    examples: list[Record] = []
    waiting = iter(progress(parsed(records), "decontaminate", "record"))
    with Books(kept, rejected, report) as books:
        while batch := list(itertools.islice(waiting, TOGETHER)):
            for (line, record), match in zip(batch, index.find_all([record for _, record in batch]), strict=True):
                if match is None:
                    books.keep(record, line)
                    continue
                item = items[match.item]
                benchmark = item["metadata"]["source"]
                hits[benchmark] += 1
                evidence = f"{benchmark}: {item['instruction']!r}: {match.how}"
                books.reject(record, "decontaminate", "contamination", evidence)
                if len(examples) < EXAMPLES:
                    examples.append({"benchmark": benchmark, "how": match.how, "item": item, "record": record})
        books.details = {"items": len(items), "hits": hits, "examples": examples}
    require_some(read_json(report), "every record repeats a benchmark item: is a benchmark among the sources?")
