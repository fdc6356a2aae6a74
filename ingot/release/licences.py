"""What licences ask of somebody who gives a model away. It names what a person must read; it is no legal advice."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ingot.release.checks import stated

FREE = {
    "apache-2.0": "apache-2.0",
    "mit": "mit",
    "mit-0": None,
    "bsd-2-clause": "bsd-2-clause",
    "bsd-3-clause": "bsd-3-clause",
    "isc": "isc",
    "zlib": "zlib",
    "unlicense": "unlicense",
    "0bsd": None,
    "cc0-1.0": "cc0-1.0",
    "cc-by-3.0": "cc-by-3.0",
    "cc-by-4.0": "cc-by-4.0",
    "odc-by-1.0": "odc-by",
    "pddl-1.0": "pddl",
    "cdla-permissive-1.0": "cdla-permissive-1.0",
    "cdla-permissive-2.0": "cdla-permissive-2.0",
}
"""Licences, by their SPDX names, that only ask to be named, and what the hub calls them. None: it has no name."""
CLOSED = re.compile(
    r"\bNC\b|\bND\b|non[- ]?commercial|no[- ]?deriv|research[- ]only|only for research|for research only|proprietary"
    r"|all rights reserved|confidential",
    re.IGNORECASE,
)
"""Words of licences that do not let everybody use what is made with them."""
RIGHTS = "Copyright © Meta Platforms, Inc. All Rights Reserved."


@dataclass(frozen=True)
class Terms:
    """A licence of one vendor that lets models be passed on, under conditions."""

    pattern: re.Pattern[str]
    hub_name: str
    """How the hub calls it. `{version}` is what the pattern finds, here and below."""
    notice: str
    """What must stand in a file NOTICE."""
    label: str = ""
    """What the page must say."""
    prefix: str = ""
    """What the names of derived models must begin with."""

    def filled(self, text: str, licence: str) -> str:
        """Fill the version of a licence into a text of these terms."""
        found = self.pattern.search(licence)
        return text.format(version=(found and found.groupdict().get("version")) or "")


VENDORS = (
    Terms(
        re.compile(r"\bllama[-_ ]?2\b", re.IGNORECASE),
        "llama2",
        f"Llama 2 is licensed under the LLAMA 2 Community License, {RIGHTS}",
    ),
    Terms(
        re.compile(r"\bllama[-_ ]?3\b(?!\.)", re.IGNORECASE),
        "llama3",
        f"Meta Llama 3 is licensed under the Meta Llama 3 Community License, {RIGHTS}",
        "Built with Meta Llama 3",
        "Llama 3",
    ),
    Terms(
        re.compile(r"\bllama[-_ ]?(?P<version>3\.\d|4)\b", re.IGNORECASE),
        "llama{version}",
        f"Llama {{version}} is licensed under the Llama {{version}} Community License, {RIGHTS}",
        "Built with Llama",
        "Llama",
    ),
    Terms(
        re.compile(r"\bgemma\b", re.IGNORECASE),
        "gemma",
        "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms",
    ),
)
"""Read from the vendors' licences in November 2026."""


def terms_of(licence: Any) -> Terms | None:
    """Return the terms of a vendor's licence; None if it is of none that is known."""
    return next((terms for terms in VENDORS if isinstance(licence, str) and terms.pattern.search(licence)), None)


def is_free(licence: str) -> bool:
    """Tell whether a licence, an expression of SPDX such as `MIT OR CC-BY-4.0`, asks for no more than to be named.

    Of alternatives, one that is free will do. What WITH adds is an exception, which takes nothing away.
    """
    alternatives = re.split(r"\s+OR\s+", licence.strip().strip("()"))
    return any(
        all(re.split(r"\s+WITH\s+", part.strip(" ()"))[0].casefold() in FREE for part in re.split(r"\s+AND\s+", one))
        for one in alternatives
    )


def objections(manifest: dict[str, Any], name: str, accepted: list[str], text: bool) -> Iterator[str]:
    """Yield why a release must not be given to everybody.

    `name` is the one that the model shall have, `accepted` are licences that somebody has read and takes
    responsibility for, and `text` tells whether the text of the base's licence goes along.
    """
    said = {"base": manifest["base"].get("licence")}
    said |= {f"source {source}": given.get("licence") for source, given in manifest["sources"].items()}
    for what, licence in said.items():
        if not stated(licence):
            yield f"the licence of the {what} is not stated; state it in the configuration, and build again"
        elif is_free(licence):
            continue
        elif CLOSED.search(licence):
            yield f"the licence of the {what}, {licence!r}, does not let everybody use what is made with it"
        elif terms := terms_of(licence):
            prefix = terms.prefix.replace(" ", "-")
            if not name.replace(" ", "-").startswith(prefix):
                yield f"the licence of the {what}, {licence!r}, asks for a name like {prefix}..., not {name!r}"
            if not text:
                yield f"the licence of the {what}, {licence!r}, must go along: name the file with its text by --licence"
        elif licence not in accepted:
            yield f"the licence of the {what}, {licence!r}, is not known here; read it, and say --accept {licence!r}"


def licences_with_terms(manifest: dict[str, Any]) -> dict[str, Terms]:
    """List the licences of vendors that a release is under: {licence: its terms}."""
    said = [manifest["base"].get("licence"), *(source.get("licence") for source in manifest["sources"].values())]
    return {licence: terms for licence in said if (terms := terms_of(licence))}
