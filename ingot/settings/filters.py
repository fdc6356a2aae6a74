"""Settings of the filters, one section for each filter that has any."""

from typing import Annotated, Literal

from pydantic import Field

from ingot.settings.section import Count, Distinct, Pair, Section, Share, setting

FilterName = Literal[
    "characters",
    "refusals",
    "leftovers",
    "fences",
    "length",
    "secrets",
    "personal",
    "offensive",
    "gibberish",
    "repetition",
    "language",
]
RecordId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$", json_schema_extra={"form": "an id of 16 hex digits"})]
LanguageName = Annotated[
    str, Field(pattern=r"^[a-z]+$", json_schema_extra={"form": "an English name in lower-case letters"})
]


class Length(Section):
    """Filter `length`: question and answer together, by the tokenizer of the base."""

    least: int = setting("Shortest record that is kept", unit="tokens", ge=1)
    most: int = setting("Longest record that is kept", unit="tokens", ge=1)


class Leftovers(Section):
    """Filter `leftovers`: what a template has left behind in a text."""

    ending: Literal["cut", "drop"] = setting("What happens to tokens of a template at the very end of an answer")


class Secrets(Section):
    """Filter `secrets`: keys and tokens in the formats of known issuers."""

    action: Literal["drop", "mask"] = setting("What happens to a record with a key or a token")


class Personal(Section):
    """Filter `personal`: e-mail addresses, phone, card, account and social security numbers, IP addresses."""

    region: str = setting(
        "Country of phone numbers without a prefix",
        unit="ISO 3166 code",
        pattern=r"^[A-Z]{2}$",
        form="a code of two capital letters",
    )
    action: Literal["drop", "mask"] = setting("What happens to a record with an address or number of a person")


class Offensive(Section):
    """Filter `offensive`: words of a list."""

    languages: list[LanguageName] = setting(
        "Languages whose lists of words count, by their English names", min_length=1
    )
    most: Count = setting("Different offensive words that a record may have", unit="words")
    tolerated: list[str] = setting("Words of the lists that do not count")


class Gibberish(Section):
    """Filter `gibberish`: Gopher's rules of quality (Rae et al. 2021, appendix A.1.1)."""

    least_words: Count = setting("Shortest text that is judged", unit="words")
    word_length: Pair[Annotated[float, Field(ge=0)]] = setting(
        "Least and largest mean length of a word", unit="characters"
    )
    words_with_letters: Share = setting("Least share of words with a letter")
    symbols_per_word: float = setting("Largest number of hash signs and ellipses per word", ge=0)


class RepetitionLimits(Section):
    """Largest shares of an answer that may repeat."""

    lines: Share = setting("Share of lines that came before")
    line_characters: Share = setting("Share of characters in lines that came before")
    top_2: Share = setting("Share of characters in the most frequent 2 words in a row")
    top_3: Share = setting("Share of characters in the most frequent 3 words in a row")
    top_4: Share = setting("Share of characters in the most frequent 4 words in a row")
    repeated_5: Share = setting("Share of characters in runs of 5 words that came before")
    repeated_6: Share = setting("Share of characters in runs of 6 words that came before")
    repeated_7: Share = setting("Share of characters in runs of 7 words that came before")
    repeated_8: Share = setting("Share of characters in runs of 8 words that came before")
    repeated_9: Share = setting("Share of characters in runs of 9 words that came before")
    repeated_10: Share = setting("Share of characters in runs of 10 words that came before")


class Repetition(Section):
    """Filter `repetition`: Gopher's measures of repetition (Rae et al. 2021, table A1), taken of the answer."""

    least_words: Count = setting("Shortest answer that is judged", unit="words")
    most: RepetitionLimits


class Language(Section):
    """Filter `language`: texts in another language than the wanted one, told by fastText's lid.176."""

    wanted: str = setting(
        "Language to keep",
        unit="ISO 639 code",
        pattern=r"^[a-z]{2,3}$",
        form="a code of two or three lower-case letters",
    )
    doubt: Share = setting("Probability of the wanted language below which a record may be refused")
    sure: Share = setting("Probability of another language from which such a record is refused")
    least_words: Count = setting("Shortest text that is judged, in words of three letters or more", unit="words")


class Filter(Section):
    """Filters: those in `order` are applied; the first that refuses a record decides."""

    order: Distinct[FilterName] = setting("Filters that are applied, one after the other")
    appeals: list[RecordId] = setting("Ids of records that pass, whatever the filters and the judge say")
    length: Length
    leftovers: Leftovers
    secrets: Secrets
    personal: Personal
    offensive: Offensive
    gibberish: Gibberish
    repetition: Repetition
    language: Language
