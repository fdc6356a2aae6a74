"""Personal data and secrets in a text: where they are and what they are."""

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Span(NamedTuple):
    """A part of a text that should not be learned: from `start` to before `end`."""

    start: int
    end: int
    kind: str


def luhn(digits: str) -> bool:
    """Tell whether the last digit of a card number fits the others (ISO/IEC 7812-1)."""
    values = [int(digit) for digit in reversed(digits)]
    doubled = (sum(divmod(2 * value, 10)) for value in values[1::2])
    return (sum(values[::2]) + sum(doubled)) % 10 == 0


def is_card(text: str) -> bool:
    """Tell whether a text is the number of a payment card."""
    digits = re.sub(r"\D", "", text)
    return 13 <= len(digits) <= 19 and digits[0] in "3456" and len(set(digits)) > 1 and luhn(digits)


def is_iban(text: str) -> bool:
    """Tell whether a text is an account number with right check digits (ISO 13616)."""
    compact = text.replace(" ", "")
    return int("".join(str(int(sign, 36)) for sign in compact[4:] + compact[:4])) % 97 == 1


def is_public_address(text: str) -> bool:
    """Tell whether a text is an IP address that belongs to somebody; examples and private nets do not."""
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def anything(text: str) -> bool:
    """Accept what the pattern has found."""
    return True


# Four digits near each other, which every number below has: most texts are done with after this search.
FOUR_DIGITS = re.compile(r"\d\D{0,2}\d\D{0,2}\d\D{0,2}\d")
# kind: (how it must begin to be looked for at all; what it looks like; what else must hold)
PERSONAL: dict[str, tuple[re.Pattern[str], re.Pattern[str], Callable[[str], bool]]] = {
    "e-mail address": (re.compile("@"), re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-zA-Z]{2,}"), anything),
    "card number": (
        re.compile(r"\d(?:[ -]?\d){12}"),
        re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w.]\d|\w)"),
        is_card,
    ),
    "account number": (
        re.compile(r"[A-Z]{2}\d\d ?[A-Z0-9]{4}"),
        re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"),
        is_iban,
    ),
    "social security number": (
        re.compile(r"\d\d\d-\d\d-\d"),
        re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])"),
        anything,
    ),
    "IP address": (
        re.compile(r"\d\.\d{1,3}\.\d"),
        re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]\d|\w)"),
        is_public_address,
    ),
}
# A number that may be a phone's: seven digits or more, with the usual signs between them.
SEVEN_DIGITS = re.compile(r"\d(?:[\s().\-/]{0,2}\d){6}")
MAYBE_PHONE = re.compile(r"(?<![\w.,$€£])[+(]?\d(?:[\s().\-/]{0,2}\d){6,16}(?![\w%]|[.,]\d)")

# Formats that their issuers document; after the rules of gitleaks (MIT licence).
SECRETS: dict[str, re.Pattern[str]] = {
    "AWS key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})"),
    "Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{30,}"),
    "API key": re.compile(r"\bsk-(?:proj-|ant-)?[A-Za-z0-9_-]{20,}"),
    "Slack token": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    "Google key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}"),
    "Stripe key": re.compile(r"\b[rs]k_live_[0-9A-Za-z]{20,}"),
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----)?"),
    "JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
}
# Of these, each has one somewhere; a search for plain text is fast.
PARTS_OF_SECRETS = (
    "AKIA",
    "ASIA",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "hf_",
    "sk-",
    "xox",
    "AIza",
    "k_live_",
    "PRIVATE KEY",
    "eyJ",
)


def find_phones(text: str, region: str) -> Iterator[Span]:
    """Yield the phone numbers that are valid where they say they are, or in `region` (ISO 3166) if they do not say."""
    import phonenumbers

    if not SEVEN_DIGITS.search(text):
        return
    for maybe in MAYBE_PHONE.finditer(text):
        for match in phonenumbers.PhoneNumberMatcher(maybe.group(), region):
            yield Span(maybe.start() + match.start, maybe.start() + match.end, "phone number")


def find_personal(text: str, region: str) -> list[Span]:
    """Return the addresses and numbers of people in a text."""
    has_numbers = FOUR_DIGITS.search(text)
    found = [
        Span(*match.span(), kind)
        for kind, (first, pattern, holds) in PERSONAL.items()
        if (has_numbers or kind == "e-mail address") and first.search(text)
        for match in pattern.finditer(text)
        if holds(match.group())
    ]
    if not has_numbers:
        return sorted(found)
    # What is a card or an account number is no phone number, too.
    phones = [p for p in find_phones(text, region) if not any(p.start < one.end and one.start < p.end for one in found)]
    return sorted(found + phones)


def find_secrets(text: str) -> list[Span]:
    """Return the keys, tokens and passwords in a text that have the format of a known issuer."""
    if not any(part in text for part in PARTS_OF_SECRETS):
        return []
    return sorted(Span(*m.span(), kind) for kind, pattern in SECRETS.items() for m in pattern.finditer(text))


def mask(text: str, spans: list[Span]) -> str:
    """Return a text with each span replaced by its kind in brackets."""
    parts, end = [], 0
    for span in sorted(spans):
        if span.start >= end:
            parts += [text[end : span.start], f"[{span.kind}]"]
            end = span.end
    return "".join([*parts, text[end:]])
