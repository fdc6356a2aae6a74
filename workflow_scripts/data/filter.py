"""Drop records of a part that should not be learned from, by the filters that the configuration names."""

import itertools
from pathlib import Path

from ingot.curation.accounting import Books, parsed
from ingot.curation.filters import LanguageFilter, RecordFilter, Refusal, filters_of
from ingot.curation.screen import Screen
from ingot.io.progress import progress
from ingot.io.records import Record
from ingot.settings.filters import Filter, FilterName
from ingot.text import minhash
from ingot.text.chat import marks_of
from ingot.text.forms import text_of
from ingot.text.token_count import TokenCounter

TOGETHER = 1000  # records looked at in one call


def measure(records: list[Record], tokens: TokenCounter, screen: Screen) -> dict[FilterName, list[bool]]:
    """Note in the metadata how many tokens each record has; tell which filter has to look at which records.

    A filter that is not named in what is returned has to look at all records.
    """
    texts = [text_of(record) for record in records]
    joined = minhash.join([text.encode() for text in texts])
    for record, count in zip(records, tokens.count(texts, *joined), strict=True):
        record["metadata"]["tokens"] = count
    return screen.suspects(*joined)


def judge(
    records: list[Record], filters: dict[FilterName, RecordFilter], tokens: TokenCounter, screen: Screen
) -> list[tuple[str, Refusal] | None]:
    """Return for each record the first filter that refuses it, and why; None if all filters let it pass."""
    refused: list[tuple[str, Refusal] | None] = [None] * len(records)
    suspects = measure(records, tokens, screen)
    for name, refuse in filters.items():
        changed = False
        for i in itertools.compress(range(len(records)), suspects.get(name, itertools.repeat(True))):
            if refused[i] is None:
                identity = records[i]["id"]
                refusal = refuse(records[i])
                refused[i] = (name, refusal) if refusal else None
                changed |= records[i]["id"] != identity
        if changed:  # the filter has masked or cut something
            suspects = measure(records, tokens, screen)
    return refused


def filter(
    records: Path,
    tokenizer: Path,
    kept: Path,
    rejected: Path,
    report: Path,
    *,
    settings: Filter,
) -> None:
    """Write the records that pass every filter; list the others with the filter, its reason and its evidence.

    A record that was appealed passes, whatever the filters say.
    """
    from tokenizers import Tokenizer

    of_texts = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    filters, screen = filters_of(settings, marks_of(of_texts)), Screen(settings)
    tokens = TokenCounter(of_texts)
    waiting = (record for _, record in progress(parsed(records), "filter", "record"))
    appealed: set[str] = set()
    with Books(kept, rejected, report, settings.personal.region) as books:
        while batch := list(itertools.islice(waiting, TOGETHER)):
            for record, refused in zip(batch, judge(batch, filters, tokens, screen), strict=True):
                appeals = {record["id"], record["metadata"].get("original_id")}.intersection(settings.appeals)
                if refused and not appeals:
                    books.reject(record, refused[0], *refused[1])
                    continue
                appealed |= appeals
                books.keep(record)
        language = filters.get("language")
        seen = dict(sorted(language.seen.items())) if isinstance(language, LanguageFilter) else {}
        books.details = {"languages": seen, "appealed": sorted(appealed)}
