"""Remove training records that repeat an item of a benchmark that the configuration evaluates on."""

from collections import Counter, defaultdict
from pathlib import Path

from lib.accounting import close_books, rejection
from lib.progress import progress
from lib.records import Record, read_records
from lib.text import normalise, shingles

LONG_ENOUGH = 8  # shingles: a shorter question can be contained in another by chance


class BenchmarkIndex:
    """Finds the benchmark item that a prompt repeats, through an inverted index of its word n-grams."""

    def __init__(self, items: list[Record], size: int, threshold: float) -> None:
        """Index the questions of `items` by their word n-grams of `size` words."""
        self.size, self.threshold = size, threshold
        self.items = [shingles(item["instruction"], size) for item in items]
        self.exact = {normalise(item["instruction"]): i for i, item in enumerate(items)}
        self.holders: dict[str, list[int]] = defaultdict(list)
        for i, grams in enumerate(self.items):
            for gram in grams:
                self.holders[gram].append(i)

    def find(self, prompt: str) -> tuple[int, str] | None:
        """Return (item number, how it matches) where `prompt` repeats an item, else None."""
        if (exact := self.exact.get(normalise(prompt))) is not None:
            return exact, "same question"
        grams = shingles(prompt, self.size)
        for item, shared in Counter(i for g in grams for i in self.holders.get(g, ())).most_common():
            likeness = shared / len(grams | self.items[item])
            contained = shared / len(self.items[item])
            if likeness >= self.threshold:
                return item, f"Jaccard {likeness:.3f}"
            if contained >= self.threshold and len(self.items[item]) >= LONG_ENOUGH:
                return item, f"{contained:.0%} of the question contained"
        return None


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
    """Write the records that repeat no benchmark item; list the others with the item and the match.

    `benchmarks` is what `read_benchmarks` wrote, or nothing.
    """
    items = [item for path in benchmarks for item in read_records(path)]
    index = BenchmarkIndex(items, shingle, threshold)
    everything = list(read_records(records))
    clean, refused = [], []
    hits = {item["metadata"]["source"]: 0 for item in items}
    for record in progress(everything, "decontaminate", "record"):
        if match := index.find(record["instruction"]):
            item, how = items[match[0]], match[1]
            hits[item["metadata"]["source"]] += 1
            evidence = f"{item['metadata']['source']}: {item['instruction']!r}: {how}"
            refused.append(rejection(record, "contamination", evidence))
        else:
            clean.append(record)
    close_books(len(everything), clean, refused, (kept, rejected, report), hits=hits)
