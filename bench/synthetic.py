"""One synthetic graph in the words of four build tools: layers of steps that read two steps of the layer before.

Every step runs `python work.py SHIFT INPUT... OUTPUT`, which imports `helper.py`. What a step computes does not depend
on comments in either, and its first line does not depend on the last digit of its inputs: so there is something to cut.
"""

import random
import shutil
import subprocess
import sys
from pathlib import Path

WORK = '''"""Write the sum of the inputs, in tens, and the shift."""
import os, sys
from helper import tens
shift, *inputs, output = sys.argv[1:]
os.makedirs("ran", exist_ok=True)
open("ran/" + os.path.basename(output), "a").write("x")
total = sum(tens(open(path).read()) for path in inputs)
open(output, "w").write(f"{(total + int(shift)) * 10}\\n")
'''
HELPER = '''"""What work.py imports."""
def tens(text):
    return int(text) // 10
'''


class Graph:
    """`layers` times `width` steps; step (l, w) reads (l-1, w) and (l-1, w+1), those of layer 0 read in/w.txt."""

    def __init__(self, layers: int, width: int) -> None:
        self.layers, self.width = layers, width

    def name(self, layer: int, index: int) -> str:
        """Return the name of a step, which is also that of its file."""
        return f"s{layer}_{index}"

    def inputs(self, layer: int, index: int) -> list[str]:
        """Return what a step reads."""
        if layer == 0:
            return [f"in/{index}.txt"]
        return [f"out/{self.name(layer - 1, (index + side) % self.width)}" for side in (0, 1)]

    def steps(self) -> list[tuple[str, list[str]]]:
        """Return (name, inputs) of all steps, parents first."""
        return [
            (self.name(layer, index), self.inputs(layer, index))
            for layer in range(self.layers)
            for index in range(self.width)
        ]

    def last(self) -> list[str]:
        """Return the files of the last layer."""
        return [f"out/{self.name(self.layers - 1, index)}" for index in range(self.width)]

    def write_sources(self, folder: Path, shift: int = 1) -> None:
        """Write scripts, inputs and the setting."""
        (folder / "in").mkdir(parents=True)
        (folder / "out").mkdir()
        (folder / "work.py").write_text(WORK)
        (folder / "helper.py").write_text(HELPER)
        (folder / "config.yaml").write_text(f"shift: {shift}\n")
        chance = random.Random(0)
        for index in range(self.width):
            (folder / f"in/{index}.txt").write_text(f"{chance.randrange(10, 99) * 10}\n")


class Tool:
    """One build tool on the graph: how its files look, how it builds, how it says that there is nothing to do."""

    name = ""
    noop: tuple[str, ...] = ()
    build: tuple[str, ...] = ()

    def write(self, graph: Graph, folder: Path) -> None:
        """Write the description of the graph."""

    def call(self, folder: Path, command: tuple[str, ...], check: bool = True) -> str:
        """Run a command of the tool."""
        done = subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if check and done.returncode:
            raise RuntimeError(f"{self.name}: {done.stdout[-3000:]}")
        return done.stdout

    def run(self, folder: Path, check: bool = True) -> set[str] | None:
        """Build; return the steps that ran, or None if the tool gave up."""
        shutil.rmtree(folder / "ran", ignore_errors=True)
        try:
            self.call(folder, self.build)
        except RuntimeError:
            if check:
                raise
            return None
        return {path.name for path in (folder / "ran").iterdir()} if (folder / "ran").exists() else set()


def bin_of(name: str) -> str:
    """Return the program beside this Python."""
    return str(Path(sys.executable).parent / name)


class Make(Tool):
    """GNU make."""

    name = "GNU make"
    noop = ("make", "-j2", "-q")
    build = ("make", "-j2", "-s")

    def write(self, graph: Graph, folder: Path) -> None:
        """Write a Makefile that names every file that a step reads."""
        lines = ["SHIFT := $(shell sed 's/shift: //' config.yaml)", f"all: {' '.join(graph.last())}"]
        for name, inputs in graph.steps():
            lines += [
                f"out/{name}: {' '.join(inputs)} work.py helper.py",
                f"\t{sys.executable} work.py $(SHIFT) {' '.join(inputs)} $@",
            ]
        (folder / "Makefile").write_text("\n".join(lines) + "\n")


class Dvc(Tool):
    """Plain `dvc repro`."""

    name = "dvc repro"
    noop = (bin_of("dvc"), "status")
    build = (bin_of("dvc"), "repro", "-q")

    def write(self, graph: Graph, folder: Path) -> None:
        """Write a dvc.yaml."""
        self.call(folder, (bin_of("dvc"), "init", "-q", "--no-scm", "-f"))
        lines = ["stages:"]
        for name, inputs in graph.steps():
            command = f"{sys.executable} work.py ${{shift}} {' '.join(inputs)} out/{name}"
            lines += [
                f"  {name}:",
                f"    cmd: {command}",
                f"    deps: [{', '.join([*inputs, 'work.py', 'helper.py'])}]",
                f"    outs: [out/{name}]",
            ]
        (folder / "dvc.yaml").write_text("vars: [config.yaml]\n" + "\n".join(lines) + "\n")


class Snakemake(Tool):
    """Plain Snakemake, by times alone."""

    name = "snakemake, mtime"
    options: tuple[str, ...] = ("--rerun-triggers", "mtime", "--max-checksum-file-size", "0")
    head = ""
    tail = ""
    prefix = ""
    params = 'shift=config["shift"]'

    def __init__(self) -> None:
        self.noop = (bin_of("snakemake"), "-n", "-q", "all", "--cores", "2", *self.options)
        self.build = (bin_of("snakemake"), "-q", "all", "--cores", "2", "--rerun-incomplete", *self.options)

    def write(self, graph: Graph, folder: Path) -> None:
        """Write a Snakefile."""
        last = ", ".join(map(repr, graph.last()))
        text = f'configfile: "config.yaml"\n{self.head}\nrule all:\n    input: [{last}]\n'
        for name, inputs in graph.steps():
            text += (
                f"rule {name}:\n    input: {inputs!r}, code=['work.py', 'helper.py']\n    output: 'out/{name}'\n"
                f"    params: {self.params}\n"
                f"    shell: {self.prefix!r} '{sys.executable} work.py {{params.shift}} '\n"
                f"        '{' '.join(inputs)} {{output}}'\n"
            )
        (folder / "Snakefile").write_text(text + self.tail)


class SnakemakeChecksums(Snakemake):
    """Plain Snakemake with all that it has: times, checksums, code, params, inputs, environments."""

    name = "snakemake, checksums"
    options = ("--max-checksum-file-size", "10GB")


class Traced(Snakemake):
    """Snakemake with the layer of this repository."""

    name = "ingot (traced)"
    options = ()
    tail = "engine.install(workflow, settings_files=['config.yaml'])\n"
    params = '**params(shift=config["shift"])'

    def __init__(self) -> None:
        super().__init__()
        root = Path(__file__).resolve().parent.parent
        self.head = f"import sys\nsys.path.insert(0, {str(root)!r})\nfrom traced import engine\n"
        self.head += "from traced.step import params\n"
        self.prefix = f"{sys.executable} {root}/traced/runner.py {{rule}} {{params.trace:q}} -- "


TOOLS: list[type[Tool]] = [Make, Snakemake, SnakemakeChecksums, Dvc, Traced]
