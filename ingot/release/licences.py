"""What licences ask of somebody who gives a model away. It names what a person must read; it is no legal advice."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ingot.release.checks import stated

FREE = {
    *("Apache-2.0", "MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "Unlicense", "0BSD"),
    *("CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "ODC-By-1.0", "PDDL-1.0", "CDLA-Permissive-1.0", "CDLA-Permissive-2.0"),
}
"""Licences, by their SPDX names, that ask for no more than to be named."""
CLOSED = re.compile(r"\bNC\b|\bND\b|non-?commercial|no-?deriv|research|proprietary|all rights|confidential", re.I)
"""Words of licences that do not let everybody use what is made with them."""


@dataclass(frozen=True)
class Terms:
    """A licence of one vendor that lets models be passed on, under conditions."""

    pattern: re.Pattern[str]
    hub_name: str
    """How the hub calls it. `{version}` is what the pattern finds."""
    notice: str
    """What must go along."""
    prefix: str = ""
    """What the names of derived models must begin with."""

    def name_on_hub(self, licence: str) -> str:
        """Return how the hub calls a licence of this kind."""
        found = self.pattern.search(licence)
        return self.hub_name.format(version=(found and found.groupdict().get("version")) or "")


VENDORS = (
    Terms(
        re.compile(r"\bllama[- ]?(?P<version>3(?:\.\d)?|4)\b.*licen[cs]e", re.I),
        "llama{version}",
        "Built with Llama. Llama is licensed under the Llama Community License,"
        " Copyright © Meta Platforms, Inc. All Rights Reserved.",
        "Llama",
    ),
    Terms(
        re.compile(r"\bgemma\b", re.I),
        "gemma",
        "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms.",
    ),
)
"""Read from the vendors' licences in November 2026."""


def terms_of(licence: Any) -> Terms | None:
    """Return the terms of a vendor's licence; None if it is of none that is known."""
    return next((terms for terms in VENDORS if isinstance(licence, str) and terms.pattern.search(licence)), None)


def parts(expression: str) -> list[str]:
    """Split an expression of SPDX, such as `MIT AND CC-BY-4.0`, into its licences."""
    return [part for part in re.split(r"\s+(?:AND|OR)\s+|[()]", expression.strip()) if part.strip()]


def is_free(licence: str) -> bool:
    """Tell whether all parts of a licence ask for no more than to be named."""
    return bool(parts(licence)) and all(part.strip() in FREE for part in parts(licence))


def objections(manifest: dict[str, Any], repository: str, accepted: list[str], text: bool) -> Iterator[str]:
    """Yield why a release must not be given to everybody.

    `repository` is the name that it shall have, `accepted` are licences that somebody has read and takes
    responsibility for, and `text` tells whether the text of the base's licence goes along.
    """
    base, name = manifest["base"].get("licence"), repository.rpartition("/")[2]
    if terms := terms_of(base):
        if not name.startswith(terms.prefix):
            yield f"the licence of the base, {base!r}, asks for a name that begins with {terms.prefix!r}, not {name!r}"
        if not text:
            yield f"the licence of the base, {base!r}, must go along: name the file with its text by --licence"
    said = {"base": None if terms else base}
    said |= {f"source {name}": source.get("licence") for name, source in manifest["sources"].items()}
    for what, licence in said.items():
        if what == "base" and terms:
            continue
        if not stated(licence):
            yield f"the licence of the {what} is not stated; state it in the configuration, and build again"
        elif licence in accepted or is_free(str(licence)):
            continue
        elif CLOSED.search(str(licence)):
            yield f"the licence of the {what}, {licence!r}, does not let everybody use what is made with it"
        else:
            yield f"the licence of the {what}, {licence!r}, is not known here; read it, and say --accept {licence!r}"
