"""Damage and kill builds for hours, and see that the next plain build ends with the bytes of an undisturbed one.

    make test-soak [KILLS=N] [DAMAGES=N] [DISKS=N]

It works on copies of a build of the micro preset: its data stage, tokenizer and detector, so that a round takes
seconds. After each disturbance a plain build follows. Either it ends with the bytes of the undisturbed build, or it
says in one line what a person must do. The table of what was done is written to docs/soak.md.
"""

import argparse
import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil

from helpers.workspaces import ENVIRONMENT, ROOT, Workspace, copy_project
from traced.cache import remove

TARGETS = ["results/data/train.jsonl", "results/data/test.jsonl", "results/router/detector"]
PAGE = ROOT / "docs/soak.md"
Disturbed = Callable[[random.Random, Workspace], str]


def new_workspace(folder: Path) -> Workspace:
    """Make a clone with the micro preset and a remote."""
    copy_project(folder)
    work = Workspace(folder)
    work.edit("config.yaml", "preset: tiny", "preset: tests/micro/preset.yaml")
    for name in ("dvc.yaml", "params.yaml", "dvc.lock"):
        (folder / name).unlink(missing_ok=True)
    work.dvc("init", "-q", "--no-scm", "--force")
    return work


def digests(work: Workspace) -> dict[str, str]:
    """Return the digest of every file of the targets."""
    paths = [path for target in TARGETS for path in [work / target, *(work / target).rglob("*")]]
    files = [path for path in paths if path.is_file() and path.name != ".snakemake_timestamp"]
    return {str(path.relative_to(work.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def start(work: Workspace, *command: str) -> subprocess.Popen[bytes]:
    """Start a command here, in a process group of its own."""
    return subprocess.Popen(
        list(command), cwd=work.folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip


def processes(run: subprocess.Popen[bytes]) -> dict[str, list[psutil.Process]]:
    """Sort the processes of a build: the scheduler, the runners, which store, and the steps."""
    found: dict[str, list[psutil.Process]] = {"scheduler": [], "runner": [], "job": []}
    with contextlib.suppress(psutil.Error):
        found["scheduler"] = [psutil.Process(run.pid)]
        for child in found["scheduler"][0].children(recursive=True):
            with contextlib.suppress(psutil.Error):
                words = child.cmdline()
                if "ingot.workflow.entry" in words and "env" not in words[:1]:
                    found["job"].append(child)
                elif any(word.endswith("runner.py") for word in words[:3]):
                    found["runner"].append(child)
    return found


def lose_something(chance: random.Random, work: Workspace) -> str:
    """Give the next build something to do: restore, fetch, or run."""
    what = chance.choice(["results", "results", "cache", "cache and digests", "a script", "a script", "garbage"])
    if what == "results":
        shutil.rmtree(work / "results", ignore_errors=True)
    elif what.startswith("cache"):
        shutil.rmtree(work / "results", ignore_errors=True)
        shutil.rmtree(work / ".dvc/cache", ignore_errors=True)
        if "digests" in what:
            shutil.rmtree(work / ".dvc/tmp", ignore_errors=True)
    elif what == "a script":
        script = chance.choice(["read", "filter", "sign", "deduplicate", "decontaminate", "balance", "split"])
        work.append(f"workflow_scripts/data/{script}.py", f"# {chance.random()}\n")
    return what


def kill(chance: random.Random, work: Workspace) -> str:
    """Let a build begin with something to do, and kill a process of it at any moment."""
    what = lose_something(chance, work)
    command = ["dvc", "gc", "--workspace", "--force"] if what == "garbage" else ["snakemake", "--cores", "2", *TARGETS]
    kind = chance.choice(["scheduler", "job", "runner"]) if what == "a script" else "scheduler"
    run = start(work, *command)
    if kind == "scheduler":
        time.sleep(chance.uniform(0.5, 2.5))
    victims: list[psutil.Process] = []
    while run.poll() is None and not victims:
        victims = processes(run)[kind]
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 0.7) if kind != "scheduler" else 0)
    if run.poll() is not None:
        return "nothing: it had ended"
    with contextlib.suppress(psutil.Error):
        chance.choice(victims).send_signal(signal.SIGKILL)
    if kind == "scheduler" and chance.random() < 0.5:  # else its jobs outlive it
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    if what == "garbage":
        return "garbage collection, killed"
    doing = "restores or fetches" if what in ("results", "cache", "cache and digests") else "runs steps"
    return f"{kind}, killed while it {doing}" if kind == "scheduler" else f"{kind}, killed"


def victims(work: Workspace, remote: Path) -> dict[str, list[Path]]:
    """List what can be damaged, by kind."""

    def files(folder: Path) -> list[Path]:
        return [path for path in folder.rglob("*") if path.is_file()]

    return {
        "an object of the cache": files(work / ".dvc/cache/files"),
        "a trace": files(work / ".dvc/cache/runs"),
        "a memory of digests": [path for path in files(work / ".dvc/tmp/traced") if path.suffix == ".json"],
        "an object of the remote": files(remote / "files"),
        "a trace of the remote": files(remote / "runs"),
        "dvc.lock": [work / "dvc.lock"],
        "an artifact": [path for path in files(work / "results/data") if path.suffix == ".jsonl"],
    }


def damage_file(chance: random.Random, path: Path, others: list[Path]) -> str:
    """Damage a file in one of the ways in which files get damaged."""
    how = chance.choice(["bit", "cut", "emptied", "swapped", "removed", "a folder", "garbage"])
    mode, content = path.stat().st_mode, path.read_bytes()
    path.chmod(0o644)
    if how == "bit" and content:
        place = chance.randrange(len(content))
        path.write_bytes(content[:place] + bytes([content[place] ^ (1 << chance.randrange(8))]) + content[place + 1 :])
    elif how == "cut" and content:
        path.write_bytes(content[: chance.randrange(len(content))])
    elif how == "swapped":
        path.write_bytes(chance.choice([other for other in others if other.is_file()]).read_bytes())
    elif how == "garbage":
        path.write_bytes(chance.randbytes(chance.randrange(1, 5000)))
    elif how in ("removed", "a folder"):
        path.unlink()
        if how == "a folder":
            path.mkdir()
        return how
    else:
        how = "emptied"
        path.write_bytes(b"")
    path.chmod(chance.choice([mode, 0o644, 0o444]))
    return how


def damage(remote: Path) -> Disturbed:
    """Make the disturbance that damages something of a workspace or of its remote, and then loses what it is for."""

    whole = remote.with_name("whole")

    def one(chance: random.Random, work: Workspace) -> str:
        if not whole.exists():
            shutil.copytree(remote, whole)
        remove(remote)  # each damage is of a whole one
        shutil.copytree(whole, remote)
        kinds = {kind: found for kind, found in victims(work, remote).items() if found}
        kind = chance.choice(list(kinds))
        for path in chance.sample(kinds[kind], min(len(kinds[kind]), chance.choice([1, 3, 20]))):
            damage_file(chance, path, kinds[kind])
        if kind != "an artifact":
            shutil.rmtree(work / "results", ignore_errors=True)
        if "remote" in kind:
            shutil.rmtree(work / ".dvc/cache", ignore_errors=True)
        return kind

    return one


def judge(work: Workspace, expected: dict[str, str]) -> tuple[str, str]:
    """Build plainly, twice at most; return (what came of it, what was said)."""
    for _ in range(300):  # a job may outlive its killed scheduler
        if not work.processes("ingot.workflow.entry"):
            break
        time.sleep(0.1)
    for name in ("read", "filter", "sign", "deduplicate", "decontaminate", "balance", "split"):
        shutil.copy2(ROOT / f"workflow_scripts/data/{name}.py", work / f"workflow_scripts/data/{name}.py")
    said = work.snakemake(*TARGETS, check=False)
    if "Traceback" in said:
        return "a traceback", said
    if "take it back from git" in said:
        remove(work / "dvc.lock")
        said = work.snakemake(*TARGETS, check=False)
        return ("said what to do, then the same bytes" if digests(work) == expected else "WRONG BYTES"), said
    return ("the same bytes" if digests(work) == expected else "WRONG BYTES"), said


def soak(
    work: Workspace, pristine: Path, disturb: Disturbed, times: int, chance: random.Random
) -> Counter[tuple[str, str]]:
    """Disturb and build so many times; return how often what came of which disturbance."""
    expected = digests(work)
    table: Counter[tuple[str, str]] = Counter()
    for turn in range(times):
        what = disturb(chance, work)
        came, said = judge(work, expected)
        table[what, came] += 1
        sys.stderr.write(f"{turn + 1}/{times} {what}: {came}\n")
        if came in ("WRONG BYTES", "a traceback"):
            sys.stderr.write(said[-3000:])
            shutil.copytree(work.folder, pristine / f"failed-{turn}", symlinks=True, dirs_exist_ok=True)
    return table


def full_disks(work: Workspace, times: int, chance: random.Random) -> Counter[tuple[str, str]]:
    """Put the cache on a file system that is full after so many KiB; then give it room, and build."""
    expected = digests(work)
    table: Counter[tuple[str, str]] = Counter()
    for turn in range(times):
        small = work.folder.with_name(f"disk{turn}")
        small.mkdir()
        size = f"size={chance.choice([16, 64, 256, 512, 1024, 2048, 4096])}k"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", small], check=True)
        try:
            shutil.rmtree(work / "results", ignore_errors=True)
            shutil.rmtree(work / ".dvc/tmp", ignore_errors=True)
            work.dvc("config", "--local", "cache.dir", str(small))
            work.dvc("config", "--local", "core.remote", "none", check=False)
            work.snakemake(*TARGETS, check=False)
            work.dvc("config", "--local", "--unset", "cache.dir")
            work.dvc("config", "--local", "--unset", "core.remote", check=False)
            came, _ = judge(work, expected)
        finally:
            subprocess.run(["umount", "-l", small], check=True)
        table["a full disk", came] += 1
        sys.stderr.write(f"{turn + 1}/{times} a full disk ({size}): {came}\n")
    return table


def page(tables: list[Counter[tuple[str, str]]], options: argparse.Namespace) -> str:
    """Write the page of what was done."""
    rows = [f"| {what} | {came} | {count} |" for table in tables for (what, came), count in sorted(table.items())]
    wrong = sum(count for table in tables for (_, came), count in table.items() if came == "WRONG BYTES")
    traces = sum(count for table in tables for (_, came), count in table.items() if came == "a traceback")
    return "\n".join(
        [
            "# Soak",
            "",
            f"Written by `make test-soak KILLS={options.kills} DAMAGES={options.damages} DISKS={options.disks}` on"
            f" {time.strftime('%Y-%m-%d')} (seed {options.seed}).",
            "",
            "A build of the micro preset (its data stage, tokenizer and detector) was killed at random moments, had",
            "random files damaged, and met full disks. After each, a plain build followed, on what was left.",
            "",
            f"Wrong bytes: **{wrong}**. Tracebacks: **{traces}**.",
            "",
            "| disturbed | the next plain build ended with | times |",
            "|---|---|---:|",
            *rows,
            "",
        ]
    )


def main() -> None:
    """Soak, and write the page. The exit status is 1 if any bytes were wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, count in (("kills", 1000), ("damages", 200), ("disks", 20), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=count)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="soak-") as place:
        folder = Path(place)
        work = new_workspace(folder / "ingot")
        remote = folder / "shelf"
        work.dvc("remote", "add", "-q", "-d", "shelf", str(remote))
        work.snakemake(*TARGETS)
        work.call("python", "-m", "traced.pipeline")
        work.snakemake(*TARGETS)
        work.dvc("push", "-q", "--run-cache")
        kept = Path(tempfile.gettempdir()) / "soak-failed"
        tables = [
            soak(work, kept, kill, options.kills, chance),
            soak(work, kept, damage(remote), options.damages, chance),
            full_disks(work, options.disks if os.geteuid() == 0 else 0, chance),
        ]
    text = page(tables, options)
    PAGE.write_text(text, encoding="utf-8")
    raise SystemExit("WRONG BYTES |" in text or "a traceback |" in text)


if __name__ == "__main__":
    main()
