"""What the steps that hold no model in memory take for larger and larger models, beside what `make plan` says.

    python bench/bench_memory.py TOKENIZER [--write]

Checkpoints and adapters have the shapes of Llama 3.2 1B and 3B and random weights, because only bytes, memory and time
are measured. Each step runs in a process of its own, as the rules start it. TOKENIZER is the folder of a tokenizer.
`--write` writes docs/bench-memory.md.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from tabulate import tabulate

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ingot.io.records import read_json, write_json  # noqa: E402
from ingot.io.tensors import write_tensors  # noqa: E402
from ingot.planning import plan  # noqa: E402
from ingot.planning.estimates import Situation  # noqa: E402
from ingot.planning.experience import Experience, Needs  # noqa: E402
from ingot.planning.weights import Weights, weights_of  # noqa: E402
from ingot.text.tokenizer_files import copy_tokenizer  # noqa: E402
from ingot.workflow.build import open_build  # noqa: E402

SHAPES = ("meta-llama/Llama-3.2-1B-Instruct", "meta-llama/Llama-3.2-3B-Instruct")
LARGEST = "meta-llama/Llama-3.1-8B-Instruct"
QUANT = "Q4_K_M"
PACKING = {"level": 3}
RANK = 64
STEPS = ("merge", "convert", "quantize", "pack")
PAGE = ROOT / "docs/bench-memory.md"
ROTARY = {"rope_theta": 500000.0, "rms_norm_eps": 1e-5, "architectures": ["LlamaForCausalLM"], "dtype": "bfloat16"}


@dataclass(frozen=True)
class Taken:
    """What a step took."""

    file_bytes: int
    private_bytes: int
    """Most memory of its own, at one time."""
    memory_bytes: int
    """Most memory with the files that were mapped, which the system may drop at any time."""
    seconds: float


def shape_of(model: str) -> dict[str, Any]:
    """Read the config.json of a model."""
    config: dict[str, Any] = read_json(ROOT / f"presets/shapes/{model.replace('/', '--')}.json")
    return config | ROTARY


def make_base(config: dict[str, Any], tokenizer: Path, folder: Path) -> None:
    """Write a checkpoint with random weights, tensor by tensor."""
    import torch

    weights = weights_of(config)
    kinds: dict[str, tuple[list[int], Any]] = {
        "model.embed_tokens.weight": ([weights.vocabulary, weights.hidden], torch.bfloat16)
    }
    for layer in range(weights.layers):
        for name, matrix in weights.matrices.items():
            part = "self_attn" if name[0] in "qkvo" else "mlp"
            kinds[f"model.layers.{layer}.{part}.{name}.weight"] = ([*matrix], torch.bfloat16)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            kinds[f"model.layers.{layer}.{norm}.weight"] = ([weights.hidden], torch.bfloat16)
    kinds["model.norm.weight"] = ([weights.hidden], torch.bfloat16)
    torch.manual_seed(0)
    write_tensors(folder, kinds, lambda name: torch.empty(kinds[name][0], dtype=torch.bfloat16).normal_(std=0.02))
    write_json(folder / "config.json", config)
    copy_tokenizer(tokenizer, folder)


def make_adapter(weights: Weights, folder: Path) -> None:
    """Write a LoRA adapter with random weights."""
    import torch
    from peft import LoraConfig
    from safetensors.torch import save_file

    factors = {}
    for layer in range(weights.layers):
        for name, (rows, columns) in weights.matrices.items():
            part = "self_attn" if name[0] in "qkvo" else "mlp"
            module = f"base_model.model.model.layers.{layer}.{part}.{name}"
            factors[f"{module}.lora_A.weight"] = torch.randn(RANK, columns)
            factors[f"{module}.lora_B.weight"] = torch.randn(rows, RANK) * 0.001
    folder.mkdir()
    save_file(factors, folder / "adapter_model.safetensors")
    LoraConfig(r=RANK, lora_alpha=RANK, target_modules=sorted(weights.matrices)).save_pretrained(folder)


def jobs(folder: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """List the steps: {name: (script, what it is given)}."""
    at = {
        name: str(folder / name) for name in ("base", "adapter", "merged", "F16.gguf", "quantized.gguf", "packed.zst")
    }
    return {
        "merge": ("adapter/merge", {
            "input": {"base": at["base"], "adapter": at["adapter"]}, "output": {"merged": at["merged"]},
            "params": {"settings": {"dtype": "bfloat16"}}}),
        "convert": ("gguf/convert", {
            "input": {"model": at["merged"]}, "output": {"gguf": at["F16.gguf"]}, "params": {"name": "bench"}}),
        "quantize": ("gguf/quantize", {
            "input": {"gguf": at["F16.gguf"], "matrix": [], "sensitivity": []},
            "output": {"quantized": at["quantized.gguf"]},
            "params": {"quant": QUANT, "threads": 2}}),
        "pack": ("gguf/pack", {
            "input": {"model": at["quantized.gguf"]},
            "output": {"packed": at["packed.zst"], "report": str(folder / "pack.json")},
            "params": {"settings": PACKING, "threads": 2}}),
    }  # fmt: skip


def memory_of(process: psutil.Process) -> tuple[int, int]:
    """Return (private bytes, all bytes) of a process and its children."""
    private = whole = 0
    for one in (process, *process.children(recursive=True)):
        try:
            lines = Path(f"/proc/{one.pid}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss")}
        private += found.get("RssAnon", 0) + found.get("RssShmem", 0)
        whole += sum(found.values())
    return private, whole


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder."""
    return sum(file.stat().st_size for file in path.rglob("*")) if path.is_dir() else path.stat().st_size


def run(script: str, spec: dict[str, Any], work: Path) -> Taken:
    """Run a step in a process of its own. RuntimeError if it fails."""
    command = [sys.executable, "-m", "ingot.workflow.entry", f"workflow_scripts/{script}.py", json.dumps(spec)]
    began, peak = time.monotonic(), [0, 0]
    environment = {**os.environ, "TRACED_SCRATCH": str(work)}
    with (work / "log").open("w") as log:
        process = psutil.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)

        def watch() -> None:
            while process.poll() is None:
                with contextlib.suppress(psutil.Error):  # it may end in between
                    peak[:] = map(max, peak, memory_of(process))
                time.sleep(0.02)

        watcher = threading.Thread(target=watch)
        watcher.start()
        code = process.wait()
        watcher.join()
    if code:
        raise RuntimeError(f"{script} failed:\n{(work / 'log').read_text()[-2000:]}")
    seconds = time.monotonic() - began
    return Taken(sum(size(Path(path)) for path in spec["output"].values()), peak[0], peak[1], seconds)


def situation(model: str) -> Situation:
    """Say what the plan goes by."""
    given = {"preset": "llama-3.2-1b", "base": {"model": model}, "chain": ["adapt", "merge"], "pack": PACKING}
    build = open_build({**given, "gguf": {"types": ["F16", QUANT], "serve": QUANT}}, ROOT)
    config = shape_of(model)
    return plan.situation_of(build, config, plan.gguf_bytes(config, ["F16", QUANT], ROOT))


def measure(model: str, tokenizer: Path) -> dict[str, Taken]:
    """Make a checkpoint of this shape, and run the steps on it."""
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as place:
        folder = Path(place)
        config = shape_of(model)
        make_base(config, tokenizer, folder / "base")
        make_adapter(weights_of(config), folder / "adapter")
        found = {}
        for name, (script, spec) in jobs(folder).items():
            found[name] = run(script, spec, folder)
            print(model, name, found[name], flush=True)
        return found


def megabytes(count: float) -> str:
    """Write a size."""
    return f"{count / 1e6:,.0f}"


def row(model: str, step: str, taken: Taken, before: Needs, after: Needs | None) -> list[str]:
    """Write a row: what was said, what was said after learning from the smaller model, and what it took."""
    said = [before, after] if after else [before]
    cells = []
    for key, unit in (("file_bytes", 1e6), ("memory_bytes", 1e6), ("seconds", 1)):
        cells += [" / ".join(f"{getattr(one, key) / unit:,.0f}" for one in said), f"{getattr(taken, key) / unit:,.0f}"]
    return [model.rpartition("/")[2], step, *cells, megabytes(taken.private_bytes)]


def main() -> None:
    """Measure, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--write", action="store_true", help="write docs/bench-memory.md")
    options = parser.parse_args()
    rows: list[list[str]] = []
    private: dict[str, list[tuple[int, int]]] = {step: [] for step in STEPS}
    with tempfile.TemporaryDirectory() as nowhere:
        learned = Experience(Path(nowhere) / "experience.json")
        for place, model in enumerate(SHAPES):
            made = situation(model)
            for step, taken in measure(model, options.tokenizer.resolve()).items():
                raw = plan.raw_needs(made, step, (QUANT,))
                after = learned.corrected(f"{model}:{step}", step, raw) if place else None
                rows.append(row(model, step, taken, raw, after))
                private[step].append((made.weights.parameters, taken.private_bytes))
                learned.note_measured(f"{model}:{step}", step, raw, vars(taken), time.time())
    print(table := text_of(rows, private))
    if options.write:
        PAGE.write_text(table, encoding="utf-8")


def line_to(points: list[tuple[int, int]], where: int) -> float:
    """Draw the line through two points on to a third."""
    (x1, y1), (x2, y2) = points
    return y1 + (y2 - y1) / (x2 - x1) * (where - x1)


def text_of(rows: list[list[str]], private: dict[str, list[tuple[int, int]]]) -> str:
    """Write the page."""
    head = ("model", "step", "MB, plan", "MB", "memory, plan", "memory", "s, plan", "s", "of its own")
    largest = weights_of(shape_of(LARGEST))
    drawn = [
        [step, *(megabytes(count) for _, count in points), megabytes(line_to(points, largest.parameters))]
        for step, points in private.items()
    ]
    steps = ("step", *(model.rpartition("/")[2] for model in SHAPES), f"{LARGEST.rpartition('/')[2]}, by the line")
    style: dict[str, Any] = {"tablefmt": "github", "disable_numparse": True}
    return "\n".join(
        [
            "# What the steps without a model in memory take",
            "",
            f"Random weights in the shapes of Llama 3.2 1B and 3B; `{QUANT}`, packed at level {PACKING['level']}.",
            "Written by `python bench/bench_memory.py TOKENIZER --write`. MB are millions of bytes. Where a plan has",
            "two figures, the second is what it says after it has learned from the smaller model.",
            "",
            tabulate(rows, head, colalign=("left", "left", *["right"] * 7), **style),
            "",
            "Memory counts the files that a step has mapped, too. The system drops these whenever it needs the room.",
            "What a step has of its own is this, in MB:",
            "",
            tabulate(drawn, steps, colalign=("left", "right", "right", "right"), **style),
            "",
        ]
    )


if __name__ == "__main__":
    main()
