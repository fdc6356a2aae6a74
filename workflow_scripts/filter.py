"""Drop records of a shard that should not be learned from; which filters, and in what order, the configuration says."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lib.accounting import Books, parsed
from lib.filters import FILTERS, Filter, Language, Refusal
from lib.progress import progress
from lib.records import Record
from lib.text import text_of
from lib.token_count import TokenCounter

TOGETHER = 1000  # records whose tokens are counted in one call


def counted(records: Iterable[Record], tokens: TokenCounter) -> Iterator[Record]:
    """Yield records with the number of their tokens, question and answer together, in the metadata."""
    waiting = iter(records)
    while batch := list(itertools.islice(waiting, TOGETHER)):
        for record, count in zip(batch, tokens.count([text_of(record) for record in batch]), strict=True):
            record["metadata"]["tokens"] = count
            yield record


def judge(record: Record, filters: dict[str, Filter]) -> tuple[str, Refusal] | None:
    """Return the first filter that refuses a record, and why; None if all let it pass."""
    for name, refuses in filters.items():
        if refusal := refuses(record):
            return name, refusal
    return None


def filter(
    records: Path,
    tokenizer: Path,
    kept: Path,
    rejected: Path,
    report: Path,
    *,
    filters: list[dict[str, Any]],
    appeals: list[str],
) -> None:
    """Write the records that pass every filter, and the others with the filter, its reason and its evidence.

    `filters` are names with parameters, in the order in which they are applied. A record whose id is among `appeals`
    passes, whatever the filters say.
    """
    from tokenizers import Tokenizer

    chosen = {entry["name"]: FILTERS[entry["name"]](entry["settings"]) for entry in filters}
    everything = (record for _, record in parsed(records))
    appealed: set[str] = set()
    with Books(kept, rejected, report) as books:
        tokens = TokenCounter(Tokenizer.from_file(str(tokenizer / "tokenizer.json")))
        for record in progress(counted(everything, tokens), "filter", "record"):
            found = judge(record, chosen)
            named = {record["id"], record["metadata"].get("original_id")}.intersection(appeals)
            if found and not named:
                books.reject(record, found[0], *found[1])
                continue
            appealed |= named
            books.keep(record)
        language = chosen.get("language")
        seen = dict(sorted(language.seen.items())) if isinstance(language, Language) else {}
        books.details = {"languages": seen, "appealed": sorted(appealed)}
