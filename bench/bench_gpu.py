"""Measure the steps that need a GPU, as the rules start them: seconds, tokens a second, memory of machine and GPU.

    python bench/bench_gpu.py PRESET RECORDS TOKENIZER FIGURES [--blocks N] [--optimizer-steps N] [--longest SECONDS]
        [STEP ...]

The model has the shape of the preset's base and random weights, because only speed and memory are measured. With
`--blocks` it has fewer blocks, which is enough for steps that hold one of them at a time. Each step does a few of the
preset's steps on RECORDS (JSONL, as the data stage leaves them), in a process of its own, so that one that runs out of
memory stops no other. FIGURES is JSON: a line for each step.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

# The config.json of the bases of the presets: their widths, blocks, heads, vocabulary.
SHAPES = {
    "llama-3.2-1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
                     "num_attention_heads": 32, "tie_word_embeddings": True},
    "llama-3.1-8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
                     "num_attention_heads": 32, "tie_word_embeddings": False},
}  # fmt: skip
SHAPES["llama-3.1-8b-24gb"] = SHAPES["llama-3.1-8b"]
SHARED = {"num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5,
          "rope_theta": 500000.0, "bos_token_id": None}  # fmt: skip
Job = tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]
CALIBRATION_RECORDS = 16
ASKED, ASKED_TOKENS = 256, 96
MASKED = "through one mask"


def make_base(preset: str, tokenizer: Path, folder: Path, blocks: int) -> None:
    """Write a checkpoint of the shape of the preset's base, with random weights; of all its blocks if `blocks` is 0."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from ingot.inference.device import device

    tokens = AutoTokenizer.from_pretrained(tokenizer)
    ends = {"eos_token_id": tokens.eos_token_id, "pad_token_id": tokens.pad_token_id}
    shape = SHAPES[preset] | ({"num_hidden_layers": blocks} if blocks else {})
    config = LlamaConfig(**SHARED, **shape, **ends, dtype="bfloat16")
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device()):
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)


def jobs(preset: str, records: Path, folder: Path, steps: int) -> dict[str, Job]:
    """List the steps: {name: (script, inputs, outputs, params)}."""
    from ingot.settings.load import load

    settings = load({"preset": preset}, ROOT).model_dump(mode="json")
    base, few = str(folder / "base"), str(folder / "few.jsonl")
    lines = records.read_text().splitlines(keepends=True)
    (folder / "few.jsonl").write_text("".join(lines[:16]))
    (folder / "asked.jsonl").write_text("".join(lines[:ASKED]))
    shared = {"seed": 0, "threads": 8}
    adapt = settings["adapt"]
    short = {"max_steps": steps, "evaluate_every": steps, "warmup": 1, "epochs": 100}

    def adapter(name: str, backend: str = "trl", **training: Any) -> Job:
        learned = {**adapt["training"], **short, **training}
        return (
            "adapter/adapt", {"base": base, "train": str(records), "valid": few},
            {"adapter": str(folder / name), "report": str(folder / f"{name}.json")},
            {"settings": {**adapt, "backend": backend, "training": learned},
             "curves": str(folder / "curves"), **shared},
        )  # fmt: skip

    def compressed(step: str, *outputs: str, **params: Any) -> Job:
        written = {name: str(folder / f"{step}-{name}") for name in (*outputs, "report")}
        return f"compress/{step}", {"model": base, "train": str(records)}, written, {"threads": 8, **params}

    few_texts = {"records": CALIBRATION_RECORDS, "length": settings["prune"]["calibration"]["length"]}
    batch = max(1, adapt["training"]["batch"] // 8)
    rows = adapt["training"]["batch"] * adapt["training"]["accumulation"]
    smaller = {"batch": batch, "accumulation": rows // batch}
    recovery = {**settings["recover"]["training"], "steps": steps, "warmup": 1}
    awq = settings["quantize_awq"]
    train, threads = str(records), {"threads": os.cpu_count()}
    matrix, plain, costs = (str(folder / name) for name in ("matrix.safetensors", "F16.gguf", "costs.json"))
    quant, start = settings["distil"]["type"], str(folder / "start.gguf")
    looks = {"records": CALIBRATION_RECORDS, "length": settings["sensitivity"]["length"]}
    asked = {**settings["measure"], "longest": ASKED_TOKENS}
    learned = {**settings["distil"]["training"], "steps": steps, "warmup": 1}
    return {
        "adapt, as the preset": adapter("preset"),
        f"adapt, as the preset, {MASKED}": adapter("masked"),
        "adapt, smaller batches": adapter("small", **smaller),
        "adapt, smaller batches, not packed": adapter("rows", **smaller, packing=False),
        "adapt, smaller batches, base not quantised": adapter("whole", **smaller, quantization=None),
        "adapt by unsloth, smaller batches": adapter("unsloth", "unsloth", **smaller),
        "prune": compressed("prune", "pruned", settings={**settings["prune"], "calibration": few_texts}),
        "recover": compressed("recover", "recovered", training=recovery, gradual=None,
                              difficulties=adapt["difficulties"], dtype="bfloat16", seed=0),
        "quantize_awq": compressed("quantize_awq", "packed", "scaled", scheme=awq["scheme"], group=awq["group"],
                                   calibration=few_texts, dtype="bfloat16"),
        "measure": (
            "measure/measure",
            {"model": [base], "tokenizer": base, "texts": few, "benchmark": str(folder / "asked.jsonl")},
            {"report": str(folder / "measured.json"), "logprobs": str(folder / "logprobs.safetensors"),
             "answers": str(folder / "answers.jsonl")},
            {"name": "base", "settings": asked, "open_too": False, "threads": 1},
        ),
        # Each of these reads what those before it wrote.
        "importance": ("gguf/importance", {"model": base, "train": train}, {"matrix": matrix},
                       {"settings": few_texts, "threads": 1}),
        "convert": ("gguf/convert", {"model": base}, {"gguf": plain}, {"name": "base"}),
        "sensitivity": ("gguf/sensitivity", {"model": base, "gguf": plain, "train": train, "matrix": matrix},
                        {"report": costs}, {"settings": looks, **threads}),
        "quantize": ("gguf/quantize", {"gguf": plain, "matrix": [matrix], "sensitivity": []}, {"quantized": start},
                     {"quant": quant, **threads}),
        "distil": (
            "compress/distil",
            {"model": base, "train": train, "gguf": plain, "start": start, "matrix": [matrix]},
            {"distilled": str(folder / "distilled"), "quantized": str(folder / "distilled.gguf"),
             "report": str(folder / "distil-report")},
            {"training": learned, "difficulties": adapt["difficulties"], "dtype": "bfloat16", "seed": 0, **threads},
        ),
    }  # fmt: skip


def run_one(name: str, script: str, spec: dict[str, Any], figures: Path) -> None:
    """Run a step here, and write what it took. The time of a training is that of its loop alone."""
    import torch

    from ingot.measuring import measurement
    from ingot.training import fit, packing, sft
    from ingot.workflow import entry

    seconds: dict[str, float] = {}

    def timed(module: Any, name: str, what: str) -> None:
        original = getattr(module, name)

        def run(*args: Any, **named: Any) -> Any:
            began = time.monotonic()
            result = original(*args, **named)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds[what] = time.monotonic() - began
            return result

        setattr(module, name, run)

    if name.endswith(MASKED):
        packing.ARCHITECTURES.clear()
    timed(sft, "train_or_resume", "training")
    timed(fit, "fit", "training")
    timed(measurement, "ask", "asking")
    began = time.monotonic()
    try:
        entry.run(Path(script), spec)
    finally:
        peak = {
            "gpu_memory_bytes": torch.cuda.max_memory_reserved(),
            "gpu_memory_used_bytes": torch.cuda.max_memory_allocated(),  # the rest is what lies between tensors
            "memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        figures.write_text(json.dumps({"seconds": time.monotonic() - began, **seconds, **peak}))


def measure(name: str, job: Job, folder: Path, longest: int) -> dict[str, Any]:
    """Run a step in a process of its own for at most `longest` seconds. Return its figures, or why it failed."""
    script, inputs, outputs, params = job
    spec = json.dumps({"input": inputs, "output": outputs, "params": params})
    figures = folder / "figures.json"
    figures.unlink(missing_ok=True)
    environment = {**os.environ, "TRACED_SCRATCH": str(folder / f"work-{abs(hash(name))}"), "PYTHONPATH":
                   f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}  # fmt: skip
    command = [sys.executable, __file__, "--one", name, f"workflow_scripts/{script}.py", spec, str(figures)]
    try:
        ran = subprocess.run(
            command, cwd=ROOT, env=environment, timeout=longest, capture_output=True, text=True, check=False
        )
        said = ran.stdout + ran.stderr
        failed = {} if ran.returncode == 0 else {"failed": said.strip()[-1500:]}
    except subprocess.TimeoutExpired as error:
        failed = {"failed": f"stopped after {longest} s: {(error.stderr or b'')[-600:].decode(errors='replace')}"}
    row = {"step": name, **(json.loads(figures.read_text()) if figures.exists() else {}), **failed}
    report = Path(outputs.get("report", ""))
    if "training" in row and report.exists():
        told = json.loads(report.read_text())
        row["tokens"] = told.get("tokens") or told.get("tokens_seen")
        if row["tokens"]:
            row["tokens_per_second"] = row["tokens"] / row["training"]
    return row


def main() -> None:
    """Measure the steps, or do one part of that in a process of its own."""
    if sys.argv[1] == "--one":  # in a process of its own, so that its memory is given back
        run_one(sys.argv[2], sys.argv[3], json.loads(sys.argv[4]), Path(sys.argv[5]))
    elif sys.argv[1] == "--base":
        make_base(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
    else:
        bench()


def bench() -> None:
    """Measure the steps that the command line names, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", choices=SHAPES)
    for name in ("records", "tokenizer", "figures"):
        parser.add_argument(name, type=lambda text: Path(text).resolve())
    parser.add_argument("steps", nargs="*")
    parser.add_argument("--blocks", type=int, default=0, help="how many blocks the model has; all if 0")
    parser.add_argument("--optimizer-steps", type=int, default=6, help="how many of them each training takes")
    parser.add_argument("--longest", type=int, default=600, help="seconds after which a step is stopped")
    options = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory(prefix="bench-gpu-") as place, options.figures.open("a") as written:
        folder = Path(place)
        known = jobs(options.preset, options.records, folder, options.optimizer_steps)
        if unknown := [name for name in options.steps if name not in known]:
            parser.error(f"there are no steps {unknown}; known: {[*known]}")
        began = time.monotonic()
        base = [options.preset, str(options.tokenizer), str(folder / "base"), str(options.blocks)]
        subprocess.run([sys.executable, __file__, "--base", *base], check=True, env={**os.environ, "PYTHONPATH":
                       f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"})  # fmt: skip
        print(f"base written in {time.monotonic() - began:.0f} s", flush=True)
        for name in options.steps or known:
            model = {"preset": options.preset, "blocks": options.blocks}
            row = {**model, **measure(name, known[name], folder, options.longest)}
            print(json.dumps(row), flush=True)
            written.write(json.dumps(row) + "\n")
            written.flush()


if __name__ == "__main__":
    main()
