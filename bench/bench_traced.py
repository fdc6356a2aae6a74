"""What the trace layer costs and saves, against its rivals in the same run: `make bench` writes docs/bench-traced.md.

Machines differ and are noisy: only the ratios, each measured side by side, and the counts mean something.
"""

import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from bench.synthetic import TOOLS, Dvc, Graph, Make, Snakemake, Tool, Traced, bin_of  # noqa: E402

MEGABYTE = 2**20
SMALL = (3, 4)


def seconds(action: Callable[[], Any], times: int = 3, prepare: Callable[[], Any] = lambda: None) -> float:
    """Return the least time that an action took, without that of `prepare` before it: the least disturbed."""
    best = float("inf")
    for _ in range(times):
        prepare()
        begin = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - begin)
    return best


def shell(folder: Path, *command: str | Path, **variables: str) -> str:
    """Run a command in a folder; RuntimeError with what it said if it fails."""
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, env={**os.environ, **variables},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout[-3000:]}")
    return done.stdout


def copy_of(folder: Path, name: str) -> Path:
    """Return a copy, times and all."""
    target = folder.parent / name
    shutil.rmtree(target, ignore_errors=True)
    shell(folder.parent, "cp", "-a", folder, target)
    return target


# ------------------------------------------------------------------------------------------------- what was run again


def shuffle_times(folder: Path) -> None:
    """Give every file a time of its own, in no order, as copying or cloning does."""
    paths = [path for path in folder.rglob("*") if path.is_file() and ".dvc" not in path.parts]
    random.Random(1).shuffle(paths)
    for age, path in enumerate(paths):
        os.utime(path, (time.time() - 1000 + age, time.time() - 1000 + age))


def fresh_clone(tool: Tool, folder: Path) -> set[str] | None:
    """A clone into which the outputs were brought: sources and outputs are there, in any order of times."""
    shutil.rmtree(folder / ".snakemake", ignore_errors=True)
    shuffle_times(folder)
    return tool.run(folder)


def touched(tool: Tool, folder: Path) -> set[str] | None:
    """Every file touched."""
    shuffle_times(folder)
    return tool.run(folder)


def setting_changed(tool: Tool, folder: Path) -> set[str] | None:
    """The setting that all steps are given."""
    (folder / "config.yaml").write_text("shift: 2\n")
    return tool.run(folder)


def same_bytes(tool: Tool, folder: Path) -> set[str] | None:
    """An input edited such that the step that reads it writes what it wrote before."""
    text = (folder / "in/0.txt").read_text()
    (folder / "in/0.txt").write_text(text.replace("0\n", "7\n"))
    return tool.run(folder)


def reverted(tool: Tool, folder: Path) -> set[str] | None:
    """The setting changed, built, and changed back."""
    setting_changed(tool, folder)
    (folder / "config.yaml").write_text("shift: 1\n")
    return tool.run(folder)


def outputs_lost(tool: Tool, folder: Path) -> set[str] | None:
    """All outputs removed."""
    for path in (folder / "out").iterdir():
        path.unlink()
    return tool.run(folder)


def edited_by_hand(tool: Tool, folder: Path) -> set[str] | str | None:
    """An output edited by hand, and dated back, as an editor that keeps times or an unpacked archive does."""
    path = folder / "out/s1_0"
    right = path.read_text()
    stat = path.stat()
    path.write_text("123\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    ran = tool.run(folder)
    return ran if path.read_text() == right else "not noticed"


def killed(tool: Tool, folder: Path) -> set[str] | str | None:
    """A first build, killed (-9) halfway with its jobs; counted is what ran twice in the end."""
    shutil.rmtree(folder)
    graph = Graph(*SMALL)
    graph.write_sources(folder)
    tool.write(graph, folder)
    run = subprocess.Popen(
        tool.build, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while not (folder / "ran").exists() or len(list((folder / "ran").iterdir())) < 5:
        time.sleep(0.02)
        if run.poll() is not None:
            raise RuntimeError(f"{tool.name}: nothing to kill")
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    try:
        tool.call(folder, tool.build)
    except RuntimeError:
        return "needs a hand"
    return {path.name for path in (folder / "ran").iterdir() if len(path.read_text()) > 1}


# case: (how, how many of the 12 steps have to run)
CASES: list[tuple[str, Callable[[Tool, Path], Any], int]] = [
    ("fresh clone, outputs brought along", fresh_clone, 0),
    ("everything touched", touched, 0),
    ("a setting of all steps changed", setting_changed, 12),
    ("an input changed, its step writes the same bytes", same_bytes, 1),
    ("a setting changed and changed back", reverted, 0),
    ("all outputs lost", outputs_lost, 0),
    ("an output edited by hand", edited_by_hand, 0),
    ("killed halfway with its jobs: steps that ran twice, of which two were cut off", killed, 2),
]


def what_ran_again(work: Path) -> dict[str, dict[str, str]]:
    """Return {case: {tool: how many steps ran}}."""
    table: dict[str, dict[str, str]] = {case: {"needed": str(needed)} for case, _, needed in CASES}
    for kind in TOOLS:
        tool, graph, start = kind(), Graph(*SMALL), work / "start"
        shutil.rmtree(start, ignore_errors=True)
        graph.write_sources(start)
        tool.write(graph, start)
        tool.run(start)
        for case, act, _ in CASES:
            found = act(tool, copy_of(start, "case"))
            table[case][tool.name] = found if isinstance(found, str) else "failed" if found is None else str(len(found))
            print(f"{tool.name}: {case}: {table[case][tool.name]}", flush=True)
    return table


# --------------------------------------------------------------------------------------------------- the check itself


def noop_500(work: Path) -> dict[str, float]:
    """Return {tool: seconds to find that nothing is to do} of a graph of 500 steps."""
    tools = [kind() for kind in TOOLS]
    graph = Graph(10, 50)
    folders: dict[str, Path] = {}
    for tool in tools:
        folder = folders[tool.name] = work / f"large-{tool.name.split()[0]}-{len(folders)}"
        graph.write_sources(folder)
        tool.write(graph, folder)
        if isinstance(tool, Dvc):  # `dvc repro` of 500 stages takes a quarter of an hour: make builds, DVC commits
            Make().write(graph, folder)
            Make().run(folder)
            tool.call(folder, (bin_of("dvc"), "commit", "-q", "-f"))
        else:
            tool.run(folder)
        print(f"{tool.name}: 500 steps built", flush=True)
    found = {tool.name: float("inf") for tool in tools}
    for _ in range(3):  # in turns, so that all meet the same noise
        for tool in tools:
            took = seconds(partial(tool.call, folders[tool.name], tool.noop), 1)
            found[tool.name] = min(found[tool.name], took)
    return found


def pretend_built(folder: Path) -> None:
    """Record a trace with small outputs for every step of the graph in a folder: enough to check, without training."""
    program = """
import sys; sys.path.insert(0, ".")
from pathlib import Path
from traced.graph import open_graph
from traced.plan import Plan
from traced.workspace import Workspace
with open_graph() as (tracer, steps, _):
    for step in steps:
        layer = tracer.workspace
        before = layer.entry_of(step, layer.digests.of_all(step.deps))
        for out in step.outs:
            path = Path(out)
            path.parent.mkdir(parents=True, exist_ok=True)
            if "." in path.name:
                path.write_text(out)
            else:
                path.mkdir()
                (path / "model.safetensors").write_text(out)
        layer.finish(step, before)
        layer.record(step, before)
    tracer.pipeline.write(Plan(Workspace(), steps), True)
"""
    shell(folder, sys.executable, "-c", program)


def without_layer(folder: Path) -> None:
    """Take the layer out of a clone: no traces, no closure of imports, the times in order as after a build."""
    snakefile, common = folder / "Snakefile", folder / "rules/common.smk"
    text = snakefile.read_text()
    snakefile.write_text(text[: text.index("# Content decides")])
    text = common.read_text()
    for whole, without in (
        ('return {"spec": spec, "trace": Trace(values, network, unwatched, kept_here)}', 'return {"spec": spec}'),
        ("engine.runner(quote(HERE))", '""'),
        ("from traced import engine\n", ""),
    ):
        if whole not in text:
            raise RuntimeError(f"rules/common.smk has not {whole}: the measurement is to be mended")
        text = text.replace(whole, without)
    at = text.index('"""', text.index('"""', text.index("def code(")) + 3) + 3
    files = '[f"{HERE}/envs/{environment}.lock", f"{HERE}/workflow_scripts/{script}.py"]'
    common.write_text(f"{text[:at]}\n    return {files}\n{text[at:]}")
    stages = json.loads(
        shell(folder, sys.executable, "-c", "import yaml,json; print(json.dumps(yaml.safe_load(open('dvc.lock'))))")
    )
    from traced.diverge import parents_first

    for age, name in enumerate(parents_first(stages["stages"])):
        for out in stages["stages"][name]["outs"]:
            if (folder / out["path"]).exists():
                os.utime(folder / out["path"], (time.time() + age, time.time() + age))


def noop_tiny(work: Path) -> dict[str, float]:
    """Return seconds of checks that find nothing to do in the graph of the tiny preset, with and without the layer."""
    folder = work / "tiny"
    folder.mkdir()
    names = shell(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    pretend_built(folder)
    command = (bin_of("snakemake"), "-n", "--cores", "2")
    plain = copy_of(folder, "plain")
    without_layer(plain)
    for place in (folder, plain):
        if "Nothing to be done" not in (said := shell(place, *command)):
            raise RuntimeError(f"{place}: {said[-3000:]}")
    times = {"plain": float("inf"), "traced": float("inf")}
    for _ in range(5):  # in turns, so that both meet the same noise
        times["plain"] = min(times["plain"], seconds(lambda: shell(plain, *command), 1))
        times["traced"] = min(times["traced"], seconds(lambda: shell(folder, *command), 1))
    environments = {"INGOT_VENVS": str(ROOT / ".venvs")}
    shell(folder, "make", **environments)
    times["a second make"] = seconds(lambda: shell(folder, "make", **environments), 3)
    return times


# ------------------------------------------------------------------------------------------------------------- bytes


def two_gigabytes(work: Path) -> dict[str, float]:
    """Return seconds of checking, hashing and restoring 2 GB in 20 files, beside md5sum and cp."""
    folder = work / "bytes"
    (folder / "out").mkdir(parents=True)
    block = os.urandom(MEGABYTE)
    for index in range(20):
        with open(folder / f"out/{index}", "wb") as file:
            for number in range(100):
                file.write(number.to_bytes(4, "big") + block[4:])
            file.write(index.to_bytes(4, "big"))
    os.chdir(folder)
    from traced.workspace import Workspace

    paths = [f"out/{index}" for index in range(20)]
    layer = Workspace()
    found = {"first hash": seconds(lambda: layer.digests.of_all(paths), 1)}
    found["check, unchanged"] = seconds(lambda: layer.digests.of_all(paths))

    def touch_and_check() -> None:
        for path in paths:
            os.utime(path)
        layer.digests.of_all(paths)

    cores = str(os.cpu_count())
    found["md5sum on all cores"] = seconds(
        lambda: shell(folder, "sh", "-c", f"ls out/* | xargs -n 1 -P {cores} md5sum")
    )
    found["check, all touched"] = seconds(touch_and_check)
    contents = layer.digests.of_all(paths)
    for path in paths:
        layer.cache.put(path, contents[path].md5)  # type: ignore[union-attr]

    def restore() -> None:
        for path in paths:
            layer.cache.get(path, contents[path])  # type: ignore[arg-type]

    def lose() -> None:
        shutil.rmtree("out")
        shutil.rmtree("copied", ignore_errors=True)

    found["cp"], found["restore, copied"] = float("inf"), float("inf")
    for _ in range(3):
        found["restore, copied"] = min(found["restore, copied"], seconds(restore, 1, lose))
        found["cp"] = min(found["cp"], seconds(lambda: shell(folder, "cp", "-r", "out", "copied"), 1))
    layer.cache.types = ["hardlink"]
    found["restore, linked"] = seconds(restore, 3, lose)
    os.chdir(ROOT)
    shutil.rmtree(folder)
    return found


def per_job(work: Path) -> dict[str, float]:
    """Return the seconds that 40 jobs, one after the other, take with and without the layer."""
    found = {}
    for kind in (Snakemake, Traced):
        tool, folder = kind(), work / "chain"
        shutil.rmtree(folder, ignore_errors=True)
        graph = Graph(40, 1)
        graph.write_sources(folder)
        tool.write(graph, folder)
        tool.call(folder, tool.noop)
        found[tool.name] = seconds(partial(tool.run, folder), 1)
    return found


# ------------------------------------------------------------------------------------------------------------ report


def report(found: dict[str, Any]) -> str:
    """Return the page."""
    tiny, large, data, jobs = found["tiny"], found["large"], found["bytes"], found["jobs"]
    tools = [kind.name for kind in TOOLS]
    overhead = (jobs[Traced.name] - jobs[Snakemake.name]) / 40
    goals = [
        ("check of the tiny graph, against plain `snakemake -n`", tiny["traced"] / tiny["plain"], "1.1 x"),
        ("check of 500 steps, against plain `snakemake -n`", large[Traced.name] / large[Snakemake.name], "1.5 x"),
        ("2 GB, unchanged, against hashing them", data["check, unchanged"] / data["first hash"], "no rehash"),
        (
            "2 GB, all touched, against md5sum on all cores",
            data["check, all touched"] / data["md5sum on all cores"],
            "1 x",
        ),
        ("2 GB restored by copying, against cp", data["restore, copied"] / data["cp"], "1.5 x"),
        ("2 GB restored by links, against cp", data["restore, linked"] / data["cp"], "near 0"),
    ]
    lines = [
        "# What the trace layer costs and saves",
        "",
        f"Written by `make bench` on {found['date']}, {found['machine']}. Ratios of times taken side by side.",
        "",
        "| | measured | goal |",
        "|---|---|---|",
        *(f"| {name} | {ratio:.2f} x | {goal} |" for name, ratio, goal in goals),
        f"| `make` of the tiny graph with nothing to do | {tiny['a second make']:.1f} s | 5 s |",
        f"| recording a job, seconds more than without | {overhead:.2f} s | 0.5 s |",
        "",
        "## What ran again",
        "",
        "The same 12 steps in the words of five tools; every tool was told by hand of the script and the module it",
        "imports. Numbers are steps that ran; `needed` is what content asks for.",
        "",
        f"| case | needed | {' | '.join(tools)} |",
        "|---|" + "---|" * (len(tools) + 1),
        *(
            f"| {case} | {row['needed']} | {' | '.join(row[tool] for tool in tools)} |"
            for case, row in found["again"].items()
        ),
        f"| nothing to do, 500 steps, seconds | | {' | '.join(f'{large[tool]:.2f}' for tool in tools)} |",
        "",
        "`dvc repro` is asked by `dvc status` here, GNU make by `make -q`, Snakemake by `-n`.",
        "",
        "## Seconds behind the ratios",
        "",
        *(f"- {name}: {value:.3f}" for part in (tiny, data, jobs) for name, value in part.items()),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure everything and write the page."""
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        found = {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": f"{os.cpu_count()} cores of {processor}",
            "tiny": noop_tiny(work),
            "bytes": two_gigabytes(work),
            "jobs": per_job(work),
            "again": what_ran_again(work),
            "large": noop_500(work),
        }
    (ROOT / "docs/bench-traced.md").write_text(report(found))
    print(report(found))


if __name__ == "__main__":
    main()
