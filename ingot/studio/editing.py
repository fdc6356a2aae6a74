"""Edit config.yaml: what a person says is checked as a build checks it, and comments stay where they are."""

import errno
import hashlib
import io
import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ingot.errors import InputError
from ingot.settings.defaults import Setting, Written, sections_of
from ingot.settings.load import DEFAULTS, LOADER, PRESETS, merge, read_mapping
from ingot.settings.wording import allowed, one_line
from ingot.studio.texts import placeless
from ingot.workflow.build import open_build

CONFIG = "config.yaml"
CONFLICT = f"{CONFIG} was changed by somebody else meanwhile. Your value is still here: look at theirs, and save again."

SAVING = threading.Lock()
"""Held while a file is compared and replaced: several browsers may save at once."""


@dataclass(frozen=True)
class Known:
    """A setting, with all that helps to choose a value."""

    key: str
    shown: str
    """As YAML, on one line, with nothing that a page should not show."""
    value: str
    """The same, as it is."""
    default: str
    allowed: str
    unit: str
    about: str
    comment: str
    """What a change does to the result."""
    is_own: bool
    """Whether config.yaml sets it, or a part of it."""


@dataclass(frozen=True)
class Draft:
    """The text of config.yaml that an edit would give, with what was there before it."""

    text: str
    before: str
    """The digest of what was there."""


def round_trip() -> YAML:
    """Make a reader and writer of YAML that keeps comments, quotes and order."""
    keeping = YAML(typ="rt")
    keeping.preserve_quotes = True
    keeping.width = 120
    return keeping


def digest(text: str) -> str:
    """Return a digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def value_at(values: Any, key: str) -> Any:
    """Return what is at a key with dots; None if nothing is."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def lay(values: Any, key: str, value: Any) -> None:
    """Put a value at a key with dots, where sections may be missing."""
    *above, last = key.split(".")
    for part in above:
        if not isinstance(values.get(part), dict):
            values[part] = {}
        values = values[part]
    values[last] = value


class Editor:
    """Edits the configuration of one project."""

    def __init__(self, root: Path, preset: str = "") -> None:
        """Edit the one in `root`. `preset` is looked at in place of the one that it names."""
        self.root, self.preset = root, preset
        self.path = root / CONFIG

    def complete(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return all settings. InputError listing what is wrong with what is given."""
        whole = given | ({"preset": self.preset} if self.preset else {})
        values: dict[str, Any] = open_build(whole, self.root).settings.model_dump(mode="json")
        return values

    def known(self) -> list[Known]:
        """List all settings in the order of the defaults. InputError if the configuration is broken."""
        given = read_mapping(self.path)
        values = self.complete(given)
        written = Written(self.root / PRESETS / f"{DEFAULTS}.yaml")
        return [self.one(setting, given, values) for setting in written.settings() if not setting.group]

    def one(self, setting: Setting, given: dict[str, Any], values: dict[str, Any]) -> Known:
        """Put together what is known of a setting."""
        about = str(setting.node.get("description", "")).partition("\n")[0]
        can_be = "a section" if sections_of(setting.node) else allowed(setting.node)
        return Known(
            setting.key,
            placeless(one_line(value_at(values, setting.key)), self.root),
            one_line(value_at(values, setting.key)),
            setting.text,
            can_be,
            str(setting.node.get("unit", "")),
            about,
            setting.comment,
            value_at(given, setting.key) is not None,
        )

    def change(self, key: str, text: str) -> Draft:
        """Set a key to a value, given as YAML. Nothing is written. InputError saying why it cannot be."""
        try:
            value = yaml.load(text, Loader=LOADER)  # noqa: S506  (both are safe)
        except (yaml.YAMLError, ValueError) as error:
            raise InputError(f"{key}: this is no YAML: {' '.join(str(error).split())}") from None
        return self.write(key, value)

    def appeal(self, ids: list[str]) -> Draft:
        """Let records pass that the filters dropped. Nothing is written. InputError if that cannot be."""
        now = value_at(self.complete(read_mapping(self.path)), "filter.appeals") or []
        return self.write("filter.appeals", [*now, *(one for one in ids if one not in now)])

    def write(self, key: str, value: Any) -> Draft:
        """Lay a value at a key over the text, and check the whole."""
        before = self.text()
        keeping = round_trip()
        try:
            document = keeping.load(before) or {}
        except YAMLError as error:
            raise InputError(f"{CONFIG}: not valid YAML: {error}") from None
        if not isinstance(document, dict):
            raise InputError(f"{CONFIG}: a mapping of keys to values is expected")
        # As PyYAML writes it, which will read it: the two differ in what is a number, and what a text.
        lay(document, key, keeping.load(yaml.safe_dump([value], allow_unicode=True))[0])
        out = io.StringIO()
        keeping.dump(document, out)
        given = yaml.load(out.getvalue(), Loader=LOADER)  # noqa: S506  (both are safe)
        # Merged into nothing, so that sections with one name (&name, *name) are no longer one.
        expected = merge({}, yaml.load(before, Loader=LOADER) or {})  # noqa: S506  (both are safe)
        lay(expected, key, value)
        if given != expected:
            raise InputError(
                f"{key}: this page cannot write that without changing something else; edit {CONFIG} itself"
            )
        for preset in dict.fromkeys((self.preset, "")):
            Editor(self.root, preset).complete(given)
        return Draft(out.getvalue(), digest(before))

    def text(self) -> str:
        """Read config.yaml. InputError if it cannot be read."""
        try:
            with open(self.path, encoding="utf-8", newline="") as file:
                return file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{CONFIG}: cannot be read: {error}") from None

    def save(self, draft: Draft, seen: str = "") -> None:
        """Put a draft in the place of config.yaml, whole. InputError if somebody else has changed that meanwhile.

        `seen` is the digest of the text on which a person has decided; if left out, that of the draft.
        """
        with SAVING:
            before = self.text()
            if digest(before) != draft.before or (seen and draft.before != seen):
                raise InputError(CONFLICT)
            path = self.path.resolve()  # a link stays one
            name = ""
            try:
                if not os.access(path, os.W_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
                handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{CONFIG}-")
                with open(handle, "w", encoding="utf-8", newline="\r\n" if "\r\n" in before else "") as file:
                    file.write(draft.text.replace("\r\n", "\n"))
                Path(name).chmod(path.stat().st_mode & 0o777)
                Path(name).replace(path)
            except OSError as error:
                if name:
                    Path(name).unlink(missing_ok=True)
                raise InputError(f"{CONFIG}: cannot be written: {error.strerror}") from None
