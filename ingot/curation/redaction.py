"""Take secrets and personal data out of what is listed of rejected records: the lists leave the machine."""

import re
from typing import Any

from ingot.curation.personal import find_personal, find_secrets, mask

END_OF_WORD = re.compile(r"[\w.+/=@-]*$")


def redacted_text(text: str, region: str) -> str:
    """Mask every secret and all personal data in a text. `region` is the country of phone numbers without a prefix."""
    without_secrets = mask(text, find_secrets(text))
    return mask(without_secrets, find_personal(without_secrets, region))


def redacted(value: Any, region: str) -> Any:
    """Mask what is secret or personal in all texts of a value, at any depth."""
    if isinstance(value, str):
        return redacted_text(value, region)
    if isinstance(value, dict):
        return {key: redacted(one, region) for key, one in value.items()}
    return [redacted(one, region) for one in value] if isinstance(value, list) else value


def excerpt(text: str, most: int, region: str) -> str:
    """Return how a text begins, without what is secret or personal. A word at the cut is left out: it may be a half."""
    shown = redacted_text(text, region)
    return shown if len(shown) <= most else END_OF_WORD.sub("", shown[:most])
