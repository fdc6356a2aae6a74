"""Steps of curation and learning, killed midway and on a full disk: whole outputs or none, the same ones afterwards."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict

import pytest

from helpers.curation import LABELS, READ, SIGN
from helpers.settings import CONSISTENCY, ROUTER, TRAINING, changed
from helpers.settings_of import settings_of
from helpers.workspaces import ROOT
from ingot.io.records import write_records
from ingot.workflow.build import plain

pytestmark = pytest.mark.slow

KILLS = 6
SETTINGS = settings_of("tiny")
LOSSY = ("kept", "rejected", "report")


def lossy(name, kept="kept"):
    return {kept: f"{name}.jsonl", "rejected": f"{name}.rejected.jsonl", "report": f"{name}.json"}


RUNNING = {"seed": 0, "threads": 1}
ASKING = {"batch": 32, "longest": 8}

# step: (inputs, outputs, params), in the order of the flow
STEPS = {
    "read": (
        {"source": "source.jsonl", "answers": []},
        lossy("records", "records"),
        {
            "settings": READ,
            "format": None,
            "shape": None,
            "sample": 1,
            "labels": asdict(LABELS),
            "part": {"place": 0, "of": 1},
            "region": SETTINGS.filter.personal.region,
        },
    ),
    "filter": (
        {"records": "records.jsonl", "tokenizer": "tokenizer"},
        lossy("filtered"),
        {"settings": SETTINGS.filter},
    ),
    "sign": ({"records": "filtered.jsonl"}, {"signed": "signed.safetensors"}, {"settings": SIGN}),
    "deduplicate": (
        {"records": ["filtered.jsonl"], "signed": ["signed.safetensors"]},
        lossy("deduplicated"),
        {"settings": {"limits": {}}, "shingles": SIGN.shingles, "threshold": SIGN.threshold},
    ),
    "decontaminate": (
        {"records": "deduplicated.jsonl", "benchmarks": ["benchmark.jsonl"]},
        lossy("clean"),
        {"settings": SETTINGS.decontaminate},
    ),
    "balance": ({"records": "clean.jsonl"}, lossy("balanced"), {"settings": SETTINGS.balance, "weights": {}}),
    "split": (
        {"records": "balanced.jsonl"},
        {name: f"{name}.jsonl" for name in ("train", "valid", "routing", "test")} | {"report": "split.json"},
        {"settings": SETTINGS.split, "domains": [], "least_failures": 0, "router": False},
    ),
    "gate_data": (
        {
            "trained": ["train.jsonl"],
            "pretrained": [],
            "benchmarks": ["benchmark.jsonl"],
            "test": "test.jsonl",
            "benchmark": "benchmark.jsonl",
        },
        {"verdict": "verdict.json"},
        {"settings": SETTINGS.decontaminate, "domains": [], "right_answers": False, "open_answers": False},
    ),
    "adapt": (
        {"base": "base", "train": "train.jsonl", "valid": "valid.jsonl"},
        {"adapter": "adapter", "report": "adapt.json"},
        {
            "settings": {"backend": "trl", "training": TRAINING, "difficulties": ["easy", "medium"]},
            "curves": "curves",
            **RUNNING,
        },
    ),
    "choose_questions": (
        {"train": "train.jsonl", "earlier": []},
        {"questions": "questions.jsonl"},
        {
            "domains": [],
            "difficulties": ["easy", "medium"],
            "most_asked": 200,
            "turn": "1",
            "consistency": CONSISTENCY,
            "judged": ["knowledge"],
        },
    ),
    "ask_checkpoint": (
        {"model": ["base", "adapter"], "questions": "questions.jsonl"},
        {"answers": "answers.jsonl"},
        {**ASKING, **RUNNING},
    ),
    "collect_failures": (
        {"questions": "questions.jsonl", "answers": "answers.jsonl"},
        {name: f"{name}.jsonl" for name in ("failures", "solved", "open_answers")} | {"report": "failures.json"},
        {"model": "round 0", "consistency": CONSISTENCY, "judged": ["knowledge"], "least_failures": 0},
    ),
    "target": (
        {
            "base": "base",
            "before": "adapter",
            "failures": ["failures.jsonl"],
            "solved": "solved.jsonl",
            "valid": "valid.jsonl",
            "earlier": [],
        },
        {"adapter": "targeted", "report": "target.json"},
        {
            "turn": "1",
            "training": TRAINING,
            "rehearsal": 1,
            "least_failures": 1,
            "limits": {"max_p_value": 1, "max_forgetting": 100},
            "curves": "curves",
            "difficulties": ["easy", "medium"],
            **ASKING,
            **RUNNING,
        },
    ),
    "cluster": (
        {"failures": "failures.jsonl", "encoder": []},
        {"clustered": "clustered.jsonl", "report": "cluster.json"},
        {
            "domain": "code",
            "settings": {"embedding": "tfidf", "dimensions": 16, "least": 4, "most": 10},
            "seed": 0,
        },
    ),
    "teach": (
        {"clustered": "clustered.jsonl", "solved": "solved.jsonl", "models": ["base"]},
        {"taught": "taught.jsonl", "report": "teach.json"},
        {
            "domain": "code",
            "settings": {
                "most": None,
                "rehearsal": 0.2,
                "tiers": [
                    {"name": "own", "share": 1, "checkpoint": "base", "samples": 2, "temperature": 0.7},
                    {"name": "known", "share": 1, "reference": True},
                ],
            },
            "remembered": "remembered",
            "seed": 0,
            "threads": 1,
            **ASKING,
        },
    ),
    "train_router": (
        {"answers": ["base.jsonl", "code.jsonl", "automation.jsonl"], "embedding": ["base"]},
        {"router": "router", "report": "router.json"},
        {"domains": ["code", "automation"], "settings": ROUTER, "seed": 0},
    ),
    "train_detector": (
        {},
        {"detector": "detector", "report": "detector.json"},
        {"settings": changed(SETTINGS.detector, examples=1000), "seed": 0},
    ),
}


@pytest.fixture(scope="module")
def world_files(tmp_path_factory, tokenizer, checkpoint):
    """Source, benchmark, tokenizer, an untrained model and made-up labels, in a folder of their own."""
    import shutil

    from helpers.records import make_record, write_answers
    from ingot.world import tasks

    folder = tmp_path_factory.mktemp("world")
    shares = {domain: {"easy": 0.5, "medium": 0.5} for domain in tasks.DOMAINS}
    drawn = list(itertools.islice(tasks.tasks(3, shares, 0, 1, unique=True), 6100))
    rows = [{"instruction": task.instruction, "output": task.response, "domain": task.domain} for task in drawn[100:]]
    (folder / "source.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_records(folder / "benchmark.jsonl", (make_record(t.instruction, t.response) for t in drawn[:100]))
    tokenizer.save_pretrained(folder / "tokenizer")
    shutil.copytree(checkpoint, folder / "base")
    whose = {"code": "code", "automation": "automation"}
    sure = [(task.instruction, whose.get(task.domain, "base")) for task in drawn[100:1100]]
    labels = [
        {"id": text, "instruction": text, "right": {name: name == who for name in ("base", *whose)}}
        for text, who in sure
    ]
    write_answers(folder, [{**row, "domain": "any", "confidence": 0.5} for row in labels])
    return folder


def command(step, inputs, outputs, params):
    spec = {"input": inputs, "output": outputs, "params": plain(params)}
    return [
        sys.executable,
        "-m",
        "ingot.workflow.entry",
        str(next(ROOT.glob(f"workflow_scripts/*/{step}.py"))),
        json.dumps(spec, default=str),
    ]


def environment(step):
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "TRACED_SCRATCH": f"scratch/{step}"}


def start(step, folder, **options):
    return subprocess.Popen(
        command(step, *STEPS[step]), cwd=folder, env=environment(step), text=True, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def bytes_of(path):
    """The bytes of a file, of all files of a folder, or None."""
    if path.is_dir():
        return {file.name: file.read_bytes() for file in path.iterdir()}
    return path.read_bytes() if path.exists() else None


def content(folder, step):
    return {name: bytes_of(folder / name) for name in STEPS[step][1].values()}


def remove(path):
    import shutil

    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture(scope="module")
def done(world_files, tmp_path_factory):
    """A folder in which every step has run, and how long each took."""
    import shutil

    folder = tmp_path_factory.mktemp("done")
    shutil.copytree(world_files, folder, dirs_exist_ok=True)
    seconds = {}
    for step in [step for step in STEPS for _ in range(2)]:  # the first compiles, where nothing has yet
        shutil.rmtree(folder / "scratch", ignore_errors=True)
        begin = time.monotonic()
        process = start(step, folder)
        assert process.wait() == 0, process.stderr.read()
        seconds[step] = time.monotonic() - begin
    return folder, seconds


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_step_leaves_whole_outputs_or_none_and_its_next_run_the_same(step, done):
    folder, seconds = done
    expected = content(folder, step)
    assert None not in expected.values()
    for name in expected:
        remove(folder / name)
    midway = 0
    for kill in range(1, KILLS + 1):
        process = start(step, folder)
        time.sleep(seconds[step] * kill / (KILLS + 1))
        midway += process.poll() is None
        with suppress(ProcessLookupError):  # it has just ended
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        found = content(folder, step)
        assert all(found[name] in (None, expected[name]) for name in expected)
    assert midway > KILLS / 2
    process = start(step, folder)
    assert process.wait() == 0, process.stderr.read()
    assert content(folder, step) == expected
    assert not list(folder.glob(".*.partial"))


@pytest.mark.parametrize("step", [step for step in STEPS if step != "gate_data"])  # which writes a line
def test_a_full_disk_is_said_and_nothing_is_left(step, done, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", disk], check=False).returncode:
        pytest.skip("this machine does not let a test mount a tmpfs")
    folder, _ = done
    inputs, outputs, params = STEPS[step]
    try:
        there = {name: str(disk / path) for name, path in outputs.items()}
        run = subprocess.run(
            command(step, inputs, there, params),
            cwd=folder,
            env=environment(step),
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 1
        assert f"ingot: {step}: the disk is full while writing to {disk}" in run.stderr
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
