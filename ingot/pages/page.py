"""Pages and reports from templates: one file each, nothing fetched, and nothing in a record can break out of it."""

import json
import re
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).resolve().parent / "templates"


def cell(text: str) -> str:
    """Return a text as it may stand in a cell of a Markdown table: on one line, and inert."""
    return re.sub(r"([|<>`\[\]*_\\])", r"\\\1", " ".join(str(text).split()))


def share(value: float | None) -> str:
    """Return a share in percent, or nothing for None."""
    return "" if value is None else f"{100 * value:.1f}%"


def page_of(name: str, **values: Any) -> str:
    """Render a template of ingot/pages/templates. In an .html page everything that comes from records is escaped."""
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
        # Within a script, only the end of a script must not occur.
        "data": lambda value: markupsafe.Markup(  # noqa: S704
            json.dumps(value, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
        ),
    }
    return environment.get_template(name).render(values)
