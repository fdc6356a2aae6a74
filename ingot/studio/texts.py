"""Texts for the pages: nothing secret or personal, no path of this machine, and nothing that the browser would run."""

import re
from pathlib import Path
from typing import Any

from ingot.curation.personal import find_personal, find_secrets, mask
from ingot.pages.page import page_of

SHOWN = 4000
"""Characters of a text that are shown."""
BEYOND = 4000
"""Characters behind them that are looked at for what is to be masked."""
ABSOLUTE = re.compile(r"(?<![\w.:/~…-])/(?:[^\s/'\",:]+/)+([^\s/'\",:]+)")
"""An absolute path of more than one part, and the last one."""
REGION = "US"
"""Where a phone number without a prefix is taken to be from."""


def inert(text: object, root: Path = Path()) -> str:
    """Mask what is secret or personal, and shorten the places of this machine to what they are to the build."""
    whole = str(text)
    whole = mask(whole, sorted([*find_secrets(whole), *find_personal(whole, REGION)]))
    for place, name in ((root.absolute(), "."), (Path.home(), "~")):
        if len(place.parts) > 1:
            whole = whole.replace(str(place), name)
    return whole


def placeless(text: object, root: Path = Path()) -> str:
    """Return what is inert, with every other absolute path cut to its last part. For what is not a record."""
    return ABSOLUTE.sub(r"…/\1", inert(text, root))


def brief(text: object, root: Path = Path()) -> str:
    """Return the beginning of a text, inert, and how long it is if that is not all."""
    whole = str(text)
    shown = inert(whole[: SHOWN + BEYOND], root)[:SHOWN]  # what is cut in two would not be known
    return shown if len(whole) <= SHOWN else f"{shown}…\n\n({len(whole):,} characters; these are the first {SHOWN:,})"


def part_of(name: str, **values: Any) -> str:
    """Fill a template of the studio. Every text in it is escaped."""
    return page_of(f"studio/{name}.html", **values)
