"""Write pages and reports from templates.

A page is a single file that loads nothing from elsewhere. Nothing in a record can break out of its place on the page.
"""

import json
import re
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).resolve().parent / "templates"


def cell(text: str) -> str:
    """Make a text fit for a cell of a Markdown table: put it on one line, and escape what Markdown would interpret."""
    return re.sub(r"([|<>`\[\]*_\\])", r"\\\1", " ".join(str(text).split()))


def share(value: float | None) -> str:
    """Write a share, from 0 to 1, in percent. None becomes an empty text."""
    return "" if value is None else f"{100 * value:.1f}%"


def page_of(name: str, **values: Any) -> str:
    """Fill a template of ingot/pages/templates. In an .html page, every text from a record is escaped."""
    import jinja2
    import markupsafe

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "number": lambda value: f"{value:,}",
        "share": share,
        "cell": cell,
        "merged": lambda left, right: {**left, **right},
        # JSON within a <script> must not end the script, so it has no "<".
        "data": lambda value: markupsafe.Markup(  # noqa: S704
            json.dumps(value, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
        ),
    }
    return environment.get_template(name).render(values)
