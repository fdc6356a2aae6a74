"""Write what a container of a release is made from: `ingot container FOLDER [RELEASE] [--space]`.

The folder then has the release, the code and the locks, and a Dockerfile. The container serves the release to OpenAI's
clients or, with --space, shows a chat page, as a Space of a hub does.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.pages.page import page_of
from ingot.release.hub import README, Item, licence_fields
from ingot.tools.publish import RELEASE, checked_items

IMAGE = "python:3.11-slim-bookworm"
CODE = Path(__file__).resolve().parents[2]
SERVER_PORT, SPACE_PORT = 8080, 7860
OURS = (".py", ".html", ".md", ".in", ".lock", ".sha256", ".txt")
"""What the code is made of. Nothing else that lies in its folders goes along."""
COMMAND = ["python3", "-m", "ingot.cli"]


def options_of(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="ingot container", description="Write what a container of a release is made from."
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="where to write it; it must be empty, or not there")
    parser.add_argument("release", metavar="RELEASE", nargs="?", type=Path, default=RELEASE, help=f"{RELEASE}")
    parser.add_argument("--space", action="store_true", help="a page for everybody, in place of a server with keys")
    parser.add_argument("--title", default="", help="what the page is called; the name of FOLDER if left out")
    parser.add_argument("--licence", metavar="FILE", type=Path, help="the text of the base's licence, which goes along")
    return parser.parse_args(arguments)


def dockerfile(space: bool, title: str) -> str:
    """Write how the container is built."""
    release = ["release", "--host", "0.0.0.0"]  # noqa: S104  (within the container)
    command, port, environments = (
        (["chat", "--public", *release], SPACE_PORT, ["serve", "chat"])
        if space
        else (["serve", *release], SERVER_PORT, ["serve"])
    )
    whole = json.dumps([*COMMAND, *command, "--port", str(port)])
    return page_of("Dockerfile", title=title, image=IMAGE, environments=environments, port=port, command=whole)


def space_page(going: list[Item], title: str, manifest: dict[str, Any]) -> str:
    """Write the page of a Space."""
    card = next(item.content for item in going if item.name == "MODEL_CARD.md")
    text = card.read_text(encoding="utf-8") if isinstance(card, Path) else card.decode()
    licence = licence_fields(manifest["base"].get("licence") or "unknown", link=False)["license"]
    return page_of("space.md", title=title, port=SPACE_PORT, licence=licence, card=text)


def link_or_copy(source: Path, target: Path) -> None:
    """Put a file at another place, without taking room for it where that can be."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def write(folder: Path, options: argparse.Namespace) -> None:
    """Write all of it into an empty folder. InputError if the release is damaged, or holds what must not go."""
    title = options.title or options.folder.resolve().name
    if not title.isprintable():
        raise InputError(f"{title!r} is no title: it is one line of plain text")
    options.repository = f"release/{title}"
    going = checked_items(options)
    for item in going:
        if item.name == README:
            continue  # the page of a repository
        target = folder / "release" / item.name
        if isinstance(item.content, Path):
            link_or_copy(item.content, target)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(item.content)
    for name in ("ingot", "envs"):
        for path in sorted((CODE / name).rglob("*")):
            if path.is_file() and not path.is_symlink() and (path.suffix in OURS or path.name == "Dockerfile"):
                target = folder / path.relative_to(CODE)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    (folder / "Dockerfile").write_text(dockerfile(options.space, title), encoding="utf-8")
    if options.space:
        manifest = json.loads((options.release / "manifest.json").read_text(encoding="utf-8"))
        (folder / README).write_text(space_page(going, title, manifest), encoding="utf-8")


def next_step(options: argparse.Namespace) -> str:
    """Say what to do with the folder."""
    if options.space:
        return (
            f"{options.folder} is a Space. Try it: docker build -t space {options.folder} && docker run -p"
            f" {SPACE_PORT}:{SPACE_PORT} space\nGive it away: hf upload OWNER/NAME {options.folder} --repo-type space"
        )
    return (
        f"docker build -t ingot {options.folder}\n"
        f"docker run -p 127.0.0.1:{SERVER_PORT}:{SERVER_PORT} -e INGOT_API_KEY ingot"
    )


def main(arguments: list[str] | None = None) -> None:
    """Write the folder that the command line names, whole or not at all."""
    options = options_of(sys.argv[1:] if arguments is None else arguments)
    folder: Path = options.folder
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder} is not empty; name another one, or remove it")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as partial:
            inner = Path(partial) / "whole"
            inner.mkdir()
            write(inner, options)
            inner.replace(folder)
    except (InputError, OSError) as error:
        raise SystemExit(f"ingot: container: {error}") from None
    print(next_step(options))


if __name__ == "__main__":
    main()
