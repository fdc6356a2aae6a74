"""The code that a script consists of: the script, and every module of the project that it imports, at any depth."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from traced.files import NOTES, recall, remember

MEMORY = NOTES / "imports.json"
MOST = 5000
"""Texts that are remembered."""


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every statement in a tree, at any depth. Expressions, which are most of it, are passed over."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(node, name, ()):
            yield inner
            yield from statements(inner)


def named_in(source: bytes) -> list[list[Any]]:
    """List what a Python text imports, inside functions too, as [level, module or None, names]."""
    found: list[list[Any]] = []
    for node in statements(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [[0, alias.name, []] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append([node.level, node.module, [alias.name for alias in node.names]])
    return found


class Imports:
    """What the Python files of a project import. Each text is parsed once, and then known by its digest."""

    CODE = Path(__file__).read_bytes()
    """Another version of this module may find other imports."""

    def __init__(self) -> None:
        known = recall(MEMORY)
        self.known: dict[str, list[list[Any]]] = known if isinstance(known, dict) else {}
        self.new = False

    def of(self, source: bytes) -> list[list[Any]]:
        """Return what `named_in` says of a text."""
        digest = hashlib.sha256(self.CODE + source).hexdigest()
        if digest not in self.known:
            self.known[digest] = named_in(source)
            self.new = True
        return self.known[digest]

    def keep(self) -> None:
        """Remember what is new. The oldest texts are forgotten."""
        if self.new:
            remember(MEMORY, dict([*self.known.items()][-MOST:]))
            self.new = False


@cache
def known_imports() -> Imports:
    """Read, once, what is remembered."""
    return Imports()


@cache
def imports(file: Path, root: Path) -> frozenset[Path]:
    """List the files under `root` that a Python file imports."""
    names: set[str] = set()
    for level, module, parts in known_imports().of(file.read_bytes()):
        above = file.parent.relative_to(root).parts[: -(level - 1) or None] if level else ()
        whole = ".".join([*above, *([module] if module else [])])
        # `from a import b` may name a module b or something in a.
        names.update([whole, *(f"{whole}.{part}" for part in parts)])
    return frozenset(path for name in names for path in modules(name, root))


@cache
def modules(name: str, root: Path) -> tuple[Path, ...]:
    """List the files under `root` that run if a module is imported: `import a.b` also runs a/__init__.py."""
    package, _, last = name.rpartition(".")
    above = modules(package, root) if package else ()
    folder = root.joinpath(*package.split("."))
    if package and not folder.is_dir():
        return above
    return (*above, *(path for path in (folder / f"{last}.py", folder / last / "__init__.py") if path.is_file()))


@cache
def packages_of(folder: Path, root: Path) -> tuple[Path, ...]:
    """List the files that run before a module because it is in a package."""
    if folder == root:
        return ()
    place = folder / "__init__.py"
    return (*packages_of(folder.parent, root), *([place] if place.is_file() else []))


def closure(scripts: Iterable[Path], root: Path, without: Path | None = None) -> list[Path]:
    """List `scripts` and every file under `root` that they import, sorted.

    Modules in the folder `without` are left out: code that cannot change a result. What they import elsewhere is not.
    """
    seen: set[Path] = set()
    todo = list(scripts)
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo += imports(file, root)
            todo += packages_of(file.parent, root)
    known_imports().keep()
    return sorted(file for file in seen if not (without and file.is_relative_to(without)))
