"""What the command line has said, for the page, which runs in the same process."""

from dataclasses import dataclass
from pathlib import Path

from ingot.studio.editing import Editor
from ingot.studio.watch import Watch


@dataclass(frozen=True)
class Options:
    """What the studio shows, and whether it may change it."""

    root: Path
    watch: Watch
    editor: Editor
    may_edit: bool
    beside: dict[str, Path]
    """Other builds to compare with: {name: folder}."""


OPTIONS: Options | None = None
"""Set once, before the page is served."""


def options() -> Options:
    """Return what the command line has said."""
    assert OPTIONS is not None, "the studio is started by `ingot studio`"
    return OPTIONS
