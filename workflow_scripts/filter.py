"""Drop records that should not be learned from: wrong length, other language, personal data, broken format."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lib.accounting import close_books, rejection
from lib.progress import progress
from lib.records import Record, read_records

# What a filter says of a record: (True, "") to keep it, or (False, evidence).
Verdict = tuple[bool, str]
Filter = Callable[[Record], Verdict]
KEEP: Verdict = (True, "")

EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-zA-Z]{2,}")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")
PROSE = re.compile(r"[^\W\d_]{3,}")
WORDS_TO_JUDGE = 10  # fewer words of three letters and more say too little about the language


def text_of(record: Record) -> str:
    """Return question and answer as one text."""
    return f"{record['instruction']}\n{record['response']}"


def length_filter(tokenizer: Any, least: int, most: int) -> Filter:
    """Keep records of `least` to `most` tokens, question and answer together; notes the count in the metadata."""

    def judge(record: Record) -> Verdict:
        count = len(tokenizer.encode(text_of(record), add_special_tokens=False).ids)
        record["metadata"]["tokens"] = count
        return KEEP if least <= count <= most else (False, f"{count} tokens")

    return judge


def language_filter(wanted: str, known: list[str], doubt: float) -> Filter:
    """Keep records in the language `wanted` (ISO 639-1); `known` are the languages that it is told apart from.

    A text is dropped only when another language is likeliest and the wanted one has less probability than `doubt`;
    short texts are kept, since nothing can be said about them.
    """
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    codes = [getattr(IsoCode639_1, code.upper()) for code in {*known, wanted}]
    detector = LanguageDetectorBuilder.from_iso_codes_639_1(*codes).build()

    def judge(record: Record) -> Verdict:
        text = text_of(record)
        if len(PROSE.findall(text)) < WORDS_TO_JUDGE:
            return KEEP
        confidences = {
            value.language.iso_code_639_1.name.lower(): value.value
            for value in detector.compute_language_confidence_values(text)
        }
        likeliest = max(confidences, key=lambda code: confidences[code])
        return KEEP if likeliest == wanted or confidences[wanted] >= doubt else (False, likeliest)

    return judge


def personal_filter(region: str) -> Filter:
    """Drop records with an e-mail address or a valid phone number (numbers without a prefix read as of `region`)."""
    import phonenumbers

    def judge(record: Record) -> Verdict:
        text = text_of(record)
        if EMAIL.search(text):
            return False, "e-mail address"
        if sum(c.isdigit() for c in text) >= 7 and any(phonenumbers.PhoneNumberMatcher(text, region)):
            return False, "phone number"
        return KEEP

    return judge


def format_filter(record: Record) -> Verdict:
    """Drop records with control or replacement characters, or with a code fence that is not closed."""
    text = text_of(record)
    if found := CONTROL.search(text):
        return False, f"character U+{ord(found.group()):04X}"
    return KEEP if text.count("```") % 2 == 0 else (False, "code fence not closed")


def apply(records: list[Record], filters: dict[str, Filter]) -> tuple[list[Record], list[Record]]:
    """Return (kept, rejected); a record is judged by the filters in order and falls at the first that refuses it."""
    kept, rejected = [], []
    for record in progress(records, "filter", "record"):
        for name, judge in filters.items():
            keep, evidence = judge(record)
            if not keep:
                rejected.append(rejection(record, name, evidence))
                break
        else:
            kept.append(record)
    return kept, rejected


def filter(
    records: Path,
    tokenizer: Path,
    kept: Path,
    rejected: Path,
    report: Path,
    *,
    length: dict[str, int],
    language: dict[str, Any],
    personal: dict[str, str],
) -> None:
    """Write the records that pass every filter, and the others with the filter and its evidence."""
    from tokenizers import Tokenizer

    filters = {
        "format": format_filter,
        "length": length_filter(
            Tokenizer.from_file(str(tokenizer / "tokenizer.json")), length["least"], length["most"]
        ),
        "personal": personal_filter(personal["region"]),
        "language": language_filter(language["wanted"], language["known"], language["doubt"]),
    }
    everything = list(read_records(records))
    passed, refused = apply(everything, filters)
    close_books(len(everything), passed, refused, (kept, rejected, report))
