"""Drop records of a shard that should not be learned from; which filters, and in what order, the configuration says."""

import itertools
from pathlib import Path
from typing import Any

from ingot.curation.accounting import Books, parsed
from ingot.curation.filters import FILTERS, Filter, Language, Refusal
from ingot.curation.screen import Screen
from ingot.io.progress import progress
from ingot.io.records import Record
from ingot.text import minhash
from ingot.text.forms import text_of
from ingot.text.token_count import TokenCounter

TOGETHER = 1000  # records looked at in one call


def measure(records: list[Record], tokens: TokenCounter, screen: Screen) -> dict[str, list[bool]]:
    """Note in the metadata how many tokens question and answer have together; return who is suspected by which filter.

    A filter that is not named in what is returned has to look at all records.
    """
    texts = [text_of(record) for record in records]
    joined = minhash.join([text.encode() for text in texts])
    for record, count in zip(records, tokens.count(texts, *joined), strict=True):
        record["metadata"]["tokens"] = count
    return screen.suspects(*joined)


def judge(
    records: list[Record], filters: dict[str, Filter], tokens: TokenCounter, screen: Screen
) -> list[tuple[str, Refusal] | None]:
    """Return for each record the first filter that refuses it, and why; None if all let it pass."""
    found: list[tuple[str, Refusal] | None] = [None] * len(records)
    suspects = measure(records, tokens, screen)
    for name, refuses in filters.items():
        changed = False
        for i in itertools.compress(range(len(records)), suspects.get(name, itertools.repeat(True))):
            if found[i] is None:
                identity = records[i]["id"]
                refusal = refuses(records[i])
                found[i] = (name, refusal) if refusal else None
                changed |= records[i]["id"] != identity
        if changed:  # a filter has masked or cut something
            suspects = measure(records, tokens, screen)
    return found


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
    screen, tokens = Screen(filters), TokenCounter(Tokenizer.from_file(str(tokenizer / "tokenizer.json")))
    waiting = (record for _, record in progress(parsed(records), "filter", "record"))
    appealed: set[str] = set()
    with Books(kept, rejected, report) as books:
        while batch := list(itertools.islice(waiting, TOGETHER)):
            for record, found in zip(batch, judge(batch, chosen, tokens, screen), strict=True):
                named = {record["id"], record["metadata"].get("original_id")}.intersection(appeals)
                if found and not named:
                    books.reject(record, found[0], *found[1])
                    continue
                appealed |= named
                books.keep(record)
        language = chosen.get("language")
        seen = dict(sorted(language.seen.items())) if isinstance(language, Language) else {}
        books.details = {"languages": seen, "appealed": sorted(appealed)}
