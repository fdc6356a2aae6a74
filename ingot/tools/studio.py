"""See a build in the browser: `ingot studio`. The page is on this machine only, and changes nothing without --edit.

It shows the build as it runs, the records that its steps wrote and dropped, the settings, what was measured, and, with
--beside, another build.
"""

import argparse
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.workflow.environments import python_of
from traced.lock import works

PATIENCE = 600
"""Seconds that reading a graph may take: a large one takes minutes."""


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    whole = argparse.ArgumentParser(prog="ingot studio", description="See a build in the browser.")
    whole.add_argument("targets", metavar="TARGET", nargs="*", help="file or rule; none: all that a plain build makes")
    whole.add_argument("--preset", default="", help="the preset to look at, instead of that of config.yaml")
    whole.add_argument("--edit", action="store_true", help="let the page change config.yaml")
    whole.add_argument(
        "--beside", metavar="FOLDER", type=Path, action="append", default=[], help="another clone, or a release of one"
    )
    whole.add_argument("--port", type=int, default=0, help="port of the page; any free one if left out")
    return whole


def answer(root: Path, *command: str | Path) -> Any:
    """Ask a command for JSON. InputError with the last line that it says if it has none."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"the build was not read within {PATIENCE} s; is its remote within reach?") from None
    try:
        return json.loads(done.stdout)
    except ValueError:
        told = done.stderr.strip() or done.stdout.strip()
        raise InputError(told[-4000:] or f"{command[0]} ended with status {done.returncode}") from None


def names_of(folders: list[Path]) -> dict[str, Path]:
    """Name each folder by its last part, and those of one name by a number, too. InputError if one is none."""
    named: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: there is no such folder")
        name = folder.resolve().name
        named[name if name not in named else f"{name} ({len(named) + 1})"] = folder
    return named


def show(options: argparse.Namespace) -> None:
    """Show the page until somebody ends it."""
    import marimo

    from ingot.pages.guard import Without, serve_guarded
    from ingot.studio import options as studio_options
    from ingot.studio.editing import CONFIG, Editor
    from ingot.studio.watch import Watch

    root = Path.cwd()
    if not (root / "Snakefile").is_file():
        raise InputError("there is no Snakefile here; run `ingot studio` in the folder of the project")
    python = python_of("workflow", root)
    config = ["--config", f"preset={options.preset}"] if options.preset else []
    preset = ["--preset", options.preset] if options.preset else []

    def why() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = answer(root, python, "-m", "traced.why", "--json", *options.targets, *config)
        return rows

    def plan() -> dict[str, float]:
        told = answer(root, python, "-m", "ingot.cli", "plan", "--json", *options.targets, *preset)
        return {row["step"]: row["seconds"] for row in told["steps"]}

    watch = Watch(
        root, lambda: works(root), why, plan, lambda: [root / CONFIG, *sorted((root / "presets").glob("*.yaml"))]
    )
    studio_options.OPTIONS = studio_options.Options(
        root, watch, Editor(root, options.preset), options.edit, names_of(options.beside)
    )
    watch.start()
    page = str(Path(studio_options.__file__).with_name("app.py"))
    app = marimo.create_asgi_app(quiet=True).with_app(path="/", root=page).build()
    app = Without(app, [str(Path(page).parents[2]), str(root)])  # marimo writes where it is into the page
    serve_guarded(app, options.port, "ingot studio")


def main(arguments: list[str] | None = None) -> None:
    """Show the page that the command line asks for."""
    options = parser().parse_args(arguments)
    try:
        show(options)
    except (InputError, OSError) as error:
        raise SystemExit(f"ingot: studio: {error}") from None
    except KeyboardInterrupt:
        pass
    os._exit(0)  # what marimo runs for each browser are threads that would wait for it


if __name__ == "__main__":
    main()
