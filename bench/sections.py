"""Pages of figures with a section for each model that was measured, one run at a time."""

import re
from pathlib import Path


def put_section(page: Path, head: str, section: str) -> None:
    """Put a section into a page, in the place of an older one of that name.

    `head` is what stands above the sections. A section begins with `## ` and its name.
    """
    old = page.read_text(encoding="utf-8") if page.exists() else ""
    others = [f"## {part}" for part in re.split("^## ", old, flags=re.MULTILINE)[1:]]
    name = section.partition("\n")[0]
    kept = [part for part in others if part.partition("\n")[0] != name]
    page.write_text("\n".join([head, *(part.strip() + "\n" for part in sorted([*kept, section]))]), encoding="utf-8")
