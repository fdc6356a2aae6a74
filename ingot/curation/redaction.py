"""Take secrets and personal data out of what is listed of rejected records: the lists leave the machine."""

import re
from typing import Any

from ingot.curation.personal import SECRETS, Span, find_personal, mask

# A secret is masked wherever it stands, also right after a letter: an escaped line end may have left one there.
ANYWHERE = {kind: re.compile(pattern.pattern.removeprefix(r"\b")) for kind, pattern in SECRETS.items()}


def redacted_text(text: str, region: str) -> str:
    """Mask every secret and all personal data in a text. `region` is the country of phone numbers without a prefix."""
    found = [Span(*match.span(), kind) for kind, pattern in ANYWHERE.items() for match in pattern.finditer(text)]
    without_secrets = mask(text, found)
    return mask(without_secrets, find_personal(without_secrets, region))


def redacted(value: Any, region: str) -> Any:
    """Mask what is secret or personal in all texts of a value, at any depth."""
    if isinstance(value, str):
        return redacted_text(value, region)
    if isinstance(value, dict):
        return {key: redacted(one, region) for key, one in value.items()}
    return [redacted(one, region) for one in value] if isinstance(value, list) else value
