"""Find personal data and secrets in a text: where they are, and of which kind."""

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Span(NamedTuple):
    """A stretch of a text that should not be learned, from `start` to before `end`."""

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
    """Tell whether a text is an IP address that belongs to somebody, and not one for examples or private networks."""
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def anything(text: str) -> bool:
    """Accept whatever the pattern has matched."""
    return True


# Every number below has four digits near each other. Most texts have not, and need no other search.
FOUR_DIGITS = re.compile(r"\d\D{0,2}\d\D{0,2}\d\D{0,2}\d")
# kind: (a quick search that must succeed first; the pattern; a test that the match must pass)
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
# A phone number has seven digits or more, with the usual signs between them. What has a result is a sum.
SEVEN_DIGITS = re.compile(r"\d(?:[\s().\-/]{0,2}\d){6}")
MAYBE_PHONE = re.compile(r"(?<![\w.,$€£])[+(]?\d(?:[\s().\-/]{0,2}\d){6,16}(?![\w%]|[.,]\d|\s*=)")

# These formats are documented by their issuers; the patterns follow the rules of gitleaks (MIT licence).
SECRETS: dict[str, re.Pattern[str]] = {
    "AWS key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})"),
    "Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{30,}"),
    "API key": re.compile(r"\bsk-(?:proj-|ant-)?[A-Za-z0-9_-]{20,}"),
    "Slack token": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    "Google key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}"),
    "Stripe key": re.compile(r"\b[rs]k_live_[0-9A-Za-z]{20,}"),
    "private key": re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----|[\s\S]*)"
    ),
    "JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
}
# Every secret contains one of these, and a search for plain text is fast.
PIECES_OF_SECRETS = (
    *("AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    *("hf_", "sk-", "xox", "AIza", "k_live_", "PRIVATE KEY", "eyJ"),
)


def find_phones(text: str, region: str) -> Iterator[Span]:
    """Yield the valid phone numbers of a text. One without a prefix is taken to be of `region` (ISO 3166)."""
    import phonenumbers

    if not SEVEN_DIGITS.search(text):
        return
    for candidate in MAYBE_PHONE.finditer(text):
        for match in phonenumbers.PhoneNumberMatcher(candidate.group(), region):
            yield Span(candidate.start() + match.start, candidate.start() + match.end, "phone number")


def find_personal(text: str, region: str) -> list[Span]:
    """Find the addresses and numbers of people in a text."""
    has_numbers = FOUR_DIGITS.search(text)
    spans = [
        Span(*match.span(), kind)
        for kind, (first, pattern, holds) in PERSONAL.items()
        if (has_numbers or kind == "e-mail address") and first.search(text)
        for match in pattern.finditer(text)
        if holds(match.group())
    ]
    if not has_numbers:
        return sorted(spans)
    # A card or account number is not a phone number as well.
    phones = [
        phone
        for phone in find_phones(text, region)
        if not any(phone.start < span.end and span.start < phone.end for span in spans)
    ]
    return sorted(spans + phones)


def find_secrets(text: str) -> list[Span]:
    """Find the keys and tokens in a text that have the format of a known issuer."""
    if not any(piece in text for piece in PIECES_OF_SECRETS):
        return []
    return sorted(Span(*match.span(), kind) for kind, pattern in SECRETS.items() for match in pattern.finditer(text))


def mask(text: str, spans: list[Span]) -> str:
    """Replace each span of a text by its kind in brackets."""
    pieces, end = [], 0
    for span in sorted(spans):
        if span.start >= end:
            pieces += [text[end : span.start], f"[{span.kind}]"]
            end = span.end
    return "".join([*pieces, text[end:]])
