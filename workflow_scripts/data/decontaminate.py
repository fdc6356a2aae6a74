"""Remove training records that repeat an item of a benchmark that the configuration evaluates on."""

import itertools
from pathlib import Path

from ingot.curation.accounting import Books, parsed, require_some
from ingot.curation.overlap import BenchmarkIndex
from ingot.io.progress import progress
from ingot.io.records import read_json, read_records

EXAMPLES = 20  # hits shown in the report
TOGETHER = 2000  # records compared in one call


def decontaminate(
    records: Path,
    benchmarks: list[Path],
    kept: Path,
    rejected: Path,
    report: Path,
    *,
    shingle: int,
    threshold: float,
) -> None:
    """Write the records that repeat no question and no answer of a benchmark; list the others with the item.

    `benchmarks` is what `read_benchmarks` wrote, or nothing.
    """
    items = [item for path in benchmarks for item in read_records(path)]
    index = BenchmarkIndex(items, shingle, threshold)
    hits = {item["metadata"]["source"]: 0 for item in items}
    examples = []
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
