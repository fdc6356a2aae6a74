"""Damage and kill builds for hours, and see that the next plain build ends with the bytes of an undisturbed one.

    make test-soak [KILLS=N] [DAMAGES=N] [DISKS=N] [MINUTES=N] [SEED=N]

It works on copies of a build of the micro preset: its data stage, tokenizer and detector, so that a round takes
seconds. After each disturbance a plain build follows. Either it ends with the bytes of the undisturbed build, or it
says in one line what a person must do. What was done is added to tests/soak/runs.jsonl, also if the time was up before
all of it was, and docs/soak.md is written from all runs in there. Another seed disturbs other moments.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from helpers.workspaces import ENVIRONMENT, ROOT, Workspace, copy_project
from traced.cache import remove

TARGETS = ["results/data/train.jsonl", "results/data/test.jsonl", "results/router/detector"]
PAGE = ROOT / "docs/soak.md"
RUNS = ROOT / "tests/soak/runs.jsonl"
SIDE_BY_SIDE = 2
WRONG, FAILED, TRACEBACK = BAD = "WRONG BYTES", "A FAILED BUILD", "a traceback"
Table = Counter[tuple[str, str]]
"""How often what came of which disturbance."""
KINDS = ("damages", "disks", "kills")  # the longest last, which may be cut short


def new_workspace(folder: Path) -> Workspace:
    """Make a clone with the micro preset and a remote."""
    copy_project(folder)
    work = Workspace(folder)
    work.edit("config.yaml", "preset: tiny", "preset: tests/micro/preset.yaml")
    for name in ("dvc.yaml", "params.json", "dvc.lock"):
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
                # The command line of a runner ends with that of its job.
                if any(word.endswith("runner.py") for word in words[:3]):
                    found["runner"].append(child)
                elif "ingot.workflow.entry" in words and "env" not in words[:1]:
                    found["job"].append(child)
    return found


STEPS = ("read", "filter", "sign", "deduplicate", "decontaminate", "balance", "split")


def lose_something(chance: random.Random, work: Workspace) -> str:
    """Give the next build something to do; return what it will be doing."""
    doing = chance.choice(["restore", "fetch", "fetch", "run", "run", "run", "collect garbage"])
    if doing in ("restore", "fetch"):
        shutil.rmtree(work / "results", ignore_errors=True)
    if doing == "fetch":
        shutil.rmtree(work / ".dvc/cache", ignore_errors=True)
        if chance.random() < 0.5:
            shutil.rmtree(work / ".dvc/tmp", ignore_errors=True)
    elif doing == "run":
        work.append(f"workflow_scripts/data/{chance.choice(STEPS)}.py", f"# {chance.random()}\n")
    return doing


def wait_for(run: subprocess.Popen[bytes], kind: str) -> list[psutil.Process]:
    """Wait until a build has processes of a kind, and return them; [] if it ends before.

    A process is `storing` if it is a runner whose job has ended.
    """
    had_jobs: set[int] = set()
    while run.poll() is None:
        found = processes(run)
        if kind != "storing":
            if found[kind]:
                return found[kind]
        else:
            with contextlib.suppress(psutil.Error):
                for runner in found["runner"]:
                    if runner.children():
                        had_jobs.add(runner.pid)
                    elif runner.pid in had_jobs:
                        return [runner]
        time.sleep(0.002)
    return []


def kill(chance: random.Random, work: Workspace) -> str:
    """Let a build begin with something to do, and kill a process of it at any moment; "" if it ended before."""
    doing = lose_something(chance, work)
    command = ["snakemake", "--cores", "2", *TARGETS]
    if doing == "collect garbage":
        command = ["dvc", "gc", "--workspace", "--force"]
    kind = chance.choice(["scheduler", "job", "storing", "storing"]) if doing == "run" else "scheduler"
    run = start(work, *command)
    if kind == "scheduler":
        time.sleep(chance.uniform(0.3, 2.5 if doing != "run" else 5))
    found = wait_for(run, kind)
    time.sleep(chance.uniform(0, {"job": 0.7, "storing": 0.02}.get(kind, 0)))
    if run.poll() is not None:
        return ""
    with contextlib.suppress(psutil.Error):
        chance.choice(found).send_signal(signal.SIGKILL)
    if kind == "scheduler" and chance.random() < 0.5:  # else its jobs outlive it
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    if kind == "scheduler":
        verbs = {"restore": "restores", "fetch": "fetches from the remote", "run": "runs steps"}
        return f"scheduler killed while it {verbs[doing]}" if doing in verbs else "garbage collection killed"
    return "job killed" if kind == "job" else "runner killed while it stores what its job wrote"


def kills(work: Workspace, times: int, chance: random.Random, kept: Path, until: float) -> Table:
    """Kill so many processes, several in a row or one, and build after each row."""
    expected = digests(work)
    table: Table = Counter()
    while table.total() < times and time.time() < until:
        row = [what for _ in range(chance.choice([1, 1, 2, 3, 4])) if (what := kill(chance, work))]
        note(work, table, row, judge(work, expected), kept)
    return table


def note(work: Workspace, table: Table, done: list[str], judged: tuple[str, str], kept: Path) -> None:
    """Write down what was done and what came of it. What failed is kept as it is, to be looked at."""
    came, said = judged
    for what in done:
        table[what, came] += 1
    sys.stderr.write(f"{work.folder.parent.name} {table.total()}: {', '.join(done)}: {came}\n")
    if came in BAD:
        sys.stderr.write(said[-3000:])
        shutil.copytree(work.folder, kept / f"{work.folder.parent.name}-{table.total()}", symlinks=True)


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


def damages(work: Workspace, times: int, chance: random.Random, kept: Path, until: float) -> Table:
    """Damage files of the workspace or of its remote so often, lose what they are for, and build after each."""
    expected = digests(work)
    remote = work.folder.with_name("shelf")
    whole = remote.with_name("whole")
    shutil.copytree(remote, whole)
    table: Table = Counter()
    for _ in range(times):
        if time.time() > until:
            break
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
        note(work, table, [kind], judge(work, expected), kept)
    return table


def judge(work: Workspace, expected: dict[str, str]) -> tuple[str, str]:
    """Build plainly, twice at most; return (what came of it, what was said)."""
    for _ in range(300):  # a job may outlive its killed scheduler
        if not work.processes("ingot.workflow.entry"):
            break
        time.sleep(0.1)
    for name in STEPS:
        shutil.copy2(ROOT / f"workflow_scripts/data/{name}.py", work / f"workflow_scripts/data/{name}.py")
    said = work.snakemake(*TARGETS, check=False)
    if "Traceback" in said:
        return TRACEBACK, said
    if "take it back from git" in said:
        remove(work / "dvc.lock")
        said = work.snakemake(*TARGETS, check=False)
        return ("said what to do, then the same bytes" if digests(work) == expected else WRONG), said
    if digests(work) == expected:
        return "the same bytes", said
    return (FAILED if "Exiting because a job execution failed" in said else WRONG), said


def full_disks(work: Workspace, times: int, chance: random.Random, kept: Path, until: float) -> Table:
    """Put the cache on a file system that is full after so many KiB; then give it room, and build."""
    expected = digests(work)
    table: Table = Counter()
    for turn in range(times):
        if time.time() > until:
            break
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
            note(work, table, ["a full disk"], judge(work, expected), kept)
        finally:
            subprocess.run(["umount", "-l", small], check=True)
    return table


def soak(folder: Path, counts: tuple[int, int, int], seed: int, kept: Path, until: float) -> list[Table]:
    """Build in a folder of its own, and disturb that so often: (damages, full disks, kills)."""
    chance = random.Random(seed)
    work = new_workspace(folder / "ingot")
    work.dvc("remote", "add", "-q", "-d", "shelf", str(folder / "shelf"))
    work.snakemake(*TARGETS)
    work.call("python", "-m", "traced.pipeline")
    work.snakemake(*TARGETS)
    work.dvc("push", "-q", "--run-cache")
    disturbances = (damages, full_disks, kills)  # as KINDS says
    return [disturb(work, times, chance, kept, until) for disturb, times in zip(disturbances, counts, strict=True)]


def add(tables: list[Table], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Add what was done to the runs; return all of them."""
    run = {
        "date": time.strftime("%Y-%m-%d"),
        "command": f"make test-soak KILLS={options.kills} DAMAGES={options.damages} DISKS={options.disks}"
        f" MINUTES={options.minutes} SEED={options.seed}",
        **{
            kind: [[*what, count] for what, count in sorted(table.items())]
            for kind, table in zip(KINDS, tables, strict=True)
        },
    }
    with RUNS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")
    return [json.loads(line) for line in RUNS.read_text(encoding="utf-8").splitlines()]


def page(runs: list[dict[str, Any]]) -> str:
    """Write the page of all runs."""
    tables = {kind: Counter[tuple[str, str]]() for kind in KINDS}
    for run in runs:
        for kind, table in tables.items():
            table.update({(what, came): count for what, came, count in run[kind]})
    done = {kind: table.total() for kind, table in tables.items()}
    whole = sum(tables.values(), Counter())
    wrong, failed, tracebacks = (sum(count for (_, came), count in whole.items() if came == bad) for bad in BAD)
    return "\n".join(
        [
            "# Soak",
            "",
            f"{done['kills']:,} kills, {done['damages']:,} damages and {done['disks']:,} full disks, in these runs:",
            "",
            *(f"- {run['date']}: `{run['command']}`" for run in runs),
            "",
            "Builds of the micro preset (its data stage, tokenizer and detector) were killed at random moments, up to",
            "four times in a row, had random files damaged, and met full disks. After that, a plain build followed,",
            "on what was left. A run may end before all of it was done, if its minutes are over.",
            "",
            f"Wrong bytes: **{wrong}**. Failed builds: **{failed}**. Tracebacks: **{tracebacks}**.",
            "",
            "| disturbed | the next plain build ended with | times |",
            "|---|---|---:|",
            *(f"| {what} | {came} | {count} |" for t in tables.values() for (what, came), count in sorted(t.items())),
            "",
        ]
    )


def main() -> None:
    """Soak, and write the page. The exit status is 1 if any bytes were wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, count in (("kills", 1000), ("damages", 200), ("disks", 20), ("seed", 0), ("minutes", 300)):
        parser.add_argument(f"--{name}", type=int, default=count)
    options = parser.parse_args()
    if os.geteuid():
        options.disks = 0  # nobody else may mount a small file system
    until = time.time() + 60 * options.minutes
    counts = [options.damages, options.disks, options.kills]
    shares = [
        tuple(count // SIDE_BY_SIDE + (place < count % SIDE_BY_SIDE) for count in counts)
        for place in range(SIDE_BY_SIDE)
    ]
    kept = Path(tempfile.mkdtemp(prefix="soak-failed-"))
    with tempfile.TemporaryDirectory(prefix="soak-") as place, ProcessPoolExecutor(SIDE_BY_SIDE) as pool:
        folders = [Path(place) / str(number) for number in range(SIDE_BY_SIDE)]
        seeds = range(options.seed * SIDE_BY_SIDE, (options.seed + 1) * SIDE_BY_SIDE)
        found = list(pool.map(soak, folders, shares, seeds, [kept] * SIDE_BY_SIDE, [until] * SIDE_BY_SIDE))
    tables = [sum(column, Counter()) for column in zip(*found, strict=True)]
    PAGE.write_text(page(add(tables, options)), encoding="utf-8")
    raise SystemExit(any(came in BAD for table in tables for _, came in table))


if __name__ == "__main__":
    main()
