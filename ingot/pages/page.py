"""Pages to look at: one file each, nothing fetched, and nothing in a record can break out of it."""

import json
from pathlib import Path
from typing import Any

from ingot.curation.accounting import MIXED_BY
from ingot.io.records import Record


def brief(record: Record) -> Record:
    """Return what the browser shows of a kept record."""
    metadata = record["metadata"]
    about = [str(metadata[name]) for name in MIXED_BY]
    if metadata["quality_score"] is not None:
        about.append(f"score {metadata['quality_score']:g}")
    return {
        "id": record["id"],
        "group": "kept",
        "about": " · ".join([*about, f"{metadata['tokens']} tokens"]),
        "instruction": record["instruction"],
        "response": record["response"],
    }


def brief_rejection(rejected: Record) -> Record:
    """Return what the browser shows of a rejected record, or of a row that is no record."""
    record = rejected["record"]
    place = f"{record['file']}:{record['row']}" if "file" in record else record["metadata"]["source"]
    return {
        "id": rejected["id"] or "",
        "group": rejected["filter"],
        "about": " · ".join(filter(None, [rejected["reason"], rejected["evidence"], place])),
        "instruction": record.get("instruction", record.get("excerpt", "")),
        "response": record.get("response", ""),
    }


def page_of(template: Path, **values: Any) -> str:
    """Return the page of a template; everything that comes from records is escaped."""
    import jinja2
    import markupsafe

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    # Within a script, only the end of a script must not occur.
    environment.filters["data"] = lambda value: markupsafe.Markup(  # noqa: S704
        json.dumps(value, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    )
    return environment.get_template(template.name).render(values)
