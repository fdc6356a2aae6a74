"""The benches that only other machines can run whole: what they call is there, with the arguments that it takes."""

import importlib.util
import inspect
from pathlib import Path

from ingot.workflow.entry import function_of

ROOT = Path(__file__).resolve().parents[2]


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"bench/{name}.py")
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    return bench


def taken_by(script):
    return set(inspect.signature(function_of(ROOT / f"workflow_scripts/{script}.py")).parameters) - {"work"}


def test_bench_gpu_gives_every_step_exactly_the_arguments_that_it_takes(tmp_path):
    (tmp_path / "records.jsonl").write_text('{"instruction": "a", "response": "b"}\n' * 20)
    jobs = load("bench_gpu").jobs("llama-3.2-1b", tmp_path / "records.jsonl", tmp_path, steps=2)
    assert len(jobs) >= 14
    for name, (script, *parts) in jobs.items():
        assert {argument for part in parts for argument in part} == taken_by(script), name


def test_bench_memory_gives_every_step_exactly_the_arguments_that_it_takes(tmp_path):
    jobs = load("bench_memory").jobs(tmp_path)
    assert len(jobs) >= 4
    for name, (script, spec) in jobs.items():
        assert {argument for part in spec.values() for argument in part} == taken_by(script), name
