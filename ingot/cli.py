"""The command `ingot`: what a person asks of a build, or does with what it made.

Only the command line itself runs in the workflow environment. What reads records or packed models runs in the data
environment, which is built if it is missing.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ingot.errors import InputError
from ingot.workflow.environments import python_of

VERSION = "0.1.0"
RELEASE = "results/release"
# What the server needs beside Ingot, as `pip install 'ingot[serve]'` brings it.
SERVING = ("fastapi", "llama_cpp", "uvicorn")
CHECKOUT = Path(__file__).resolve().parents[1]


def project() -> Path:
    """Find the folder of the project: the one that this file is in, or the working folder if Ingot was installed."""
    for folder in (CHECKOUT, Path.cwd()):
        if (folder / "envs/build.py").is_file():
            return folder
    raise InputError("there is no envs/build.py here; run `ingot` in the folder of the project")


def run_in(environment: str, module: str, *arguments: str) -> int:
    """Run a module in one of the locked environments; return its exit status."""
    root = project()
    # -P: else a file of the folder that one stands in, such as an argparse.py in a release, would run instead.
    command: list[str | Path] = [python_of(environment, root), "-P", "-m", module, *arguments]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": str(root)}, check=False).returncode


def why(options: argparse.Namespace) -> int:
    """Tell of each step on the way to the targets whether it is up to date, would be restored, or must run."""
    from traced.why import main as tell

    if not Path("Snakefile").is_file():
        raise InputError("there is no Snakefile here; run `ingot why` in the folder of the project")
    preset = ["--config", f"preset={options.preset}"] if options.preset else []
    tell([*options.targets, *(["--json"] if options.json else []), *preset])
    return 0


def preview(options: argparse.Namespace) -> int:
    """Show the records of a step in the browser."""
    return run_in("data", "ingot.tools.preview", options.step, *(["--full"] if options.full else []))


def unpack(options: argparse.Namespace) -> int:
    """Unpack a packed model."""
    return run_in("data", "ingot.tools.unpack", options.file, *([options.to] if options.to else []))


def sign(options: argparse.Namespace) -> int:
    """Write the lineage of a release, and sign it."""
    from traced.lineage import statements_of

    folder = Path(os.path.relpath(options.release))
    if folder != Path(RELEASE) or not (folder / "manifest.json").is_file():
        raise InputError(f"{folder}: only the release of a build is signed; build first, and leave RELEASE as it is")
    lines = [json.dumps(statement, sort_keys=True) for statement in statements_of([str(folder / "manifest.json")])]
    (folder / "lineage.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return run_in("signing", "ingot.tools.sign", str(folder), options.key)


def verify(options: argparse.Namespace) -> int:
    """Check a release."""
    key = ["--key", options.key] if options.key else []
    return run_in("signing", "ingot.tools.verify", options.release, *key, *(["--json"] if options.json else []))


def become(python: Path, path: str, options: argparse.Namespace) -> NoReturn:
    """Run a command that reads its own arguments in the place of this process. So signals reach it."""
    command = [str(python), "-P", "-m", f"ingot.tools.{options.command}", *options.arguments]
    os.execve(python, command, {**os.environ, "PYTHONPATH": path})  # noqa: S606


def serve(options: argparse.Namespace) -> int:
    """Serve a release, in the environment `serve` or, if Ingot was installed with it, in this one."""
    if all(map(importlib.util.find_spec, SERVING)):
        python, path = Path(sys.executable), os.environ.get("PYTHONPATH", "")
    else:
        root = project()
        python, path = python_of("serve", root), str(root)
    become(python, path, options)


def bisect(options: argparse.Namespace) -> int:
    """Find what lost the points between two builds."""
    arguments = [options.good, options.bad, *(["--json"] if options.json else [])]
    return run_in("workflow", "ingot.tools.bisect", *arguments)


def publish(options: argparse.Namespace) -> int:
    """Publish a release on a hub."""
    return run_in("hub", "ingot.tools.publish", *options.arguments)


def container(options: argparse.Namespace) -> int:
    """Write what a container of a release is made from."""
    return run_in("hub", "ingot.tools.container", *options.arguments)


def chat(options: argparse.Namespace) -> int:
    """Talk to a release in the browser."""
    root = project()
    become(python_of("chat", root), str(root), options)


def studio(options: argparse.Namespace) -> int:
    """See a build in the browser."""
    root = project()
    become(python_of("studio", root), str(root), options)


def hand_on(options: argparse.Namespace) -> int:
    """Run a command that reads its own arguments, in the workflow environment."""
    return run_in("workflow", f"ingot.tools.{options.command}", *options.arguments)


def settings(options: argparse.Namespace) -> int:
    """Print the complete settings, as YAML that config.yaml could hold."""
    import yaml

    from ingot.settings.load import merge, read_mapping
    from ingot.workflow.build import open_build

    given = read_mapping(Path("config.yaml"))
    for path in options.configfile:
        given = merge(given, read_mapping(Path(path)))
    whole = open_build(given, Path()).settings.model_dump(mode="json")
    sys.stdout.write(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=100))
    return 0


# Commands that read their own arguments, --help included.
HANDED_ON = {
    "serve": (serve, "serve a release to OpenAI's clients"),
    "key": (serve, "make a key for the server"),
    "plan": (hand_on, "say what a build needs: bytes, memory, time, money"),
    "chat": (chat, "talk to a release in the browser"),
    "studio": (studio, "see a build in the browser, as it runs"),
    "container": (container, "write what a container, or a Space of a hub, is made from"),
    "publish": (publish, "give a release to a hub"),
    "doctor": (hand_on, "say what this machine lacks for a build, and what to do"),
}


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    whole = argparse.ArgumentParser(prog="ingot", description="Ask about a build, or use what it made.")
    whole.add_argument("--version", action="version", version=f"ingot {VERSION}")
    commands = whole.add_subparsers(metavar="COMMAND", required=True)

    tell = commands.add_parser("why", help="say what would run, and because of what")
    tell.add_argument("targets", metavar="TARGET", nargs="*", help="file or rule; none: all that a plain build makes")
    tell.add_argument("--preset", help="the preset to ask about, instead of that of config.yaml")
    tell.add_argument("--json", action="store_true", help="print JSON instead of a table")
    tell.set_defaults(run=why)

    show = commands.add_parser("preview", help="show the records of a step in the browser")
    show.add_argument("step", metavar="STEP", help="filtered, deduplicated, balanced, filtered.rejected, ...")
    show.add_argument("--full", action="store_true", help="rejected records as they were read, secrets and all")
    show.set_defaults(run=preview)

    unpacked = commands.add_parser("unpack", help="unpack a packed model, and check it")
    unpacked.add_argument("file", metavar="FILE", help="a file that ends in .zst")
    unpacked.add_argument("to", metavar="TO", nargs="?", help="the unpacked file; FILE without .zst if left out")
    unpacked.set_defaults(run=unpack)

    signed = commands.add_parser("sign", help="write lineage and bill of materials of a release, and sign it")
    signed.add_argument("release", metavar="RELEASE", nargs="?", default=RELEASE, help=f"its folder; {RELEASE}")
    signed.add_argument("--key", metavar="FILE", required=True, help="your private key; made if there is none")
    signed.set_defaults(run=sign)

    verified = commands.add_parser("verify", help="check a release: signature, digests, lineage, licences")
    verified.add_argument("release", metavar="RELEASE", nargs="?", default=RELEASE, help=f"its folder; {RELEASE}")
    verified.add_argument("--key", metavar="FILE", help="the public key of the one you trust")
    verified.add_argument("--json", action="store_true", help="print JSON, with every step")
    verified.set_defaults(run=verify)

    for command, (_, text) in HANDED_ON.items():
        commands.add_parser(command, help=text)

    lost = commands.add_parser("bisect", help="find the step, setting, record file or package that lost the points")
    lost.add_argument("good", metavar="GOOD", help="the better build: a commit, a dvc.lock, or the folder of a clone")
    lost.add_argument("bad", metavar="BAD", nargs="?", default=".", help="the worse build; the one here")
    lost.add_argument("--json", action="store_true", help="print JSON")
    lost.set_defaults(run=bisect)

    complete = commands.add_parser("settings", help="print the complete settings of config.yaml and its preset")
    complete.add_argument(
        "--configfile", metavar="FILE", nargs="+", default=[], help="laid over config.yaml, as by snakemake"
    )
    complete.set_defaults(run=settings)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says; return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in HANDED_ON:
        run, _ = HANDED_ON[words[0]]
        options = argparse.Namespace(run=run, command=words[0], arguments=words[1:])
    else:
        options = parser().parse_args(words)
    try:
        return int(options.run(options))
    except InputError as error:
        sys.stderr.write(f"ingot: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
