"""The code that a script consists of: the script, and every module of the project that it imports, at any depth."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every statement in a tree, at any depth. Expressions, which are most of it, are passed over."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(node, name, ()):
            yield inner
            yield from statements(inner)


@cache
def imports(file: Path, root: Path) -> frozenset[Path]:
    """List the files under `root` that a Python file imports, inside functions too."""
    names: set[str] = set()
    for node in statements(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = file.parent.relative_to(root).parts[: -(node.level - 1) or None] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            # `from a import b` may name a module b or something in a.
            names.update([module, *(f"{module}.{alias.name}" for alias in node.names)])
    found: set[Path] = set()
    for name in names:
        parts = name.split(".")
        for depth in range(1, len(parts) + 1):  # `import a.b` also runs a/__init__.py
            place = root.joinpath(*parts[:depth])
            found.update(path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file())
    return frozenset(found)


def packages_of(file: Path, root: Path) -> list[Path]:
    """List the files that run before a module because it is in a package."""
    folders = [root / folder for folder in file.parent.relative_to(root).parents] + [file.parent]
    return [place for folder in folders if folder != root and (place := folder / "__init__.py").is_file()]


def closure(scripts: Iterable[Path], root: Path, without: Path | None = None) -> list[Path]:
    """List `scripts` and every file under `root` that they import, sorted.

    Modules in the folder `without` are left out, and so is what only they import. Use it for code that cannot change a
    result.
    """
    seen: set[Path] = set()
    todo = list(scripts)
    while todo:
        file = todo.pop()
        if file not in seen and not (without and file.is_relative_to(without)):
            seen.add(file)
            todo += imports(file, root)
            todo += packages_of(file, root)
    return sorted(seen)
