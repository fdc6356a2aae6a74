"""Adapter training for real, on a model of two layers: it learns, resumes after a kill, stops when it goes wrong."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from helpers.settings import TRAINING, changed
from ingot.errors import InputError
from ingot.io.records import of_difficulty, read_json, write_records
from ingot.training.sft import dataset, diagnose, fine_tune, last_checkpoint, tokens_of
from ingot.workflow.build import plain

pytestmark = pytest.mark.graph


@pytest.fixture
def records(record):
    return [record(f"What is {i} + 1?", str(i + 1)) for i in range(60)]


def digest(folder):
    return hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()


def train(checkpoint, records, folder, work, valid=None, **changes):
    return fine_tune(
        checkpoint,
        records,
        valid or records[:10],
        folder,
        changed(TRAINING, **changes),
        work=work,
        curves=work.with_name("curves"),
        seed=0,
        threads=1,
    )


def test_it_learns_and_two_runs_give_the_same_bytes(checkpoint, records, tmp_path):
    reports = [train(checkpoint, records, tmp_path / f"a{i}", tmp_path / f"w{i}") for i in range(2)]
    assert reports[0] == reports[1]
    assert digest(tmp_path / "a0") == digest(tmp_path / "a1")
    losses = [row["loss"] for row in reports[0]["losses"]]
    assert losses[-1] < losses[0]
    assert list((tmp_path / "curves").rglob("events*"))


def test_a_killed_training_goes_on_from_its_last_checkpoint(checkpoint, records, tmp_path, root):
    train_path = tmp_path / "train.jsonl"
    write_records(train_path, records)
    spec = {
        "input": {"base": str(checkpoint), "train": str(train_path), "valid": str(train_path)},
        "output": {"adapter": str(tmp_path / "adapter"), "report": str(tmp_path / "report.json")},
        "params": {
            "settings": {
                "backend": "trl",
                "training": plain(changed(TRAINING, max_steps=400, evaluate_every=5, patience=1000)),
                "difficulties": ["easy"],
            },
            "curves": str(tmp_path / "curves"),
            "seed": 0,
            "threads": 1,
        },
    }
    environment = {**os.environ, "PYTHONPATH": str(root), "TRACED_SCRATCH": str(tmp_path / "work")}
    command = [sys.executable, "-m", "ingot.workflow.entry", "workflow_scripts/adapter/adapt.py"]
    process = subprocess.Popen([*command, json.dumps(spec)], env=environment, stderr=subprocess.DEVNULL)
    while last_checkpoint(tmp_path / "work") is None and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "adapter").exists()
    reached = int(last_checkpoint(tmp_path / "work").rpartition("-")[2])
    spec["params"]["settings"]["training"]["max_steps"] = reached + 5
    subprocess.run([*command, json.dumps(spec)], env=environment, check=True, capture_output=True)
    report = read_json(tmp_path / "report.json")
    assert report["steps"] == reached + 5
    assert min(row["step"] for row in report["losses"]) <= reached, "the log of the first run is kept"
    assert (tmp_path / "adapter/adapter_model.safetensors").exists()


@pytest.mark.parametrize("early", [False, True])
def test_a_training_that_was_killed_after_its_end_takes_no_step_more(checkpoint, record, records, tmp_path, early):
    """Its checkpoints are there, and what it wrote is not."""
    others = [record(f"Name {i}.", "something else altogether") for i in range(10)] if early else None
    ask = {"valid": others, "learning_rate": 0.02, "max_steps": 40, "evaluate_every": 4, "patience": 1 if early else 99}
    reports = [train(checkpoint, records, tmp_path / f"a{i}", tmp_path / "work", **ask) for i in range(2)]
    assert reports[0] == reports[1]
    assert digest(tmp_path / "a0") == digest(tmp_path / "a1")
    assert (reports[0]["steps"] < 40) == early


def test_tokens_are_those_of_all_runs_of_a_training():
    assert tokens_of([{"num_tokens": 10.0}, {"eval_loss": 1.0}, {"num_tokens": 25.0}]) == 25
    assert tokens_of([{"num_tokens": 10.0}, {"num_tokens": 20.0}, {"num_tokens": 5.0}, {"num_tokens": 15.0}]) == 35
    assert tokens_of([]) == 0


def test_only_answers_are_learned(tokenizer, records):
    rows = dataset(tokenizer, records[:3], 64)
    for row, record in zip(rows, records, strict=False):
        learned = [i for i, mark in zip(row["input_ids"], row["completion_mask"], strict=True) if mark]
        assert tokenizer.decode(learned) == record["response"] + tokenizer.eos_token
        assert learned[-1] == tokenizer.eos_token_id != tokenizer.pad_token_id


def test_records_that_do_not_fit_are_an_error_only_if_none_does(tokenizer, records, record):
    assert len(dataset(tokenizer, [*records[:2], record("long " * 100, "x")], 64)) == 2
    with pytest.raises(InputError, match="none of the 1 records fits into `length` = 8"):
        dataset(tokenizer, records[:1], 8)


@pytest.mark.parametrize(
    ("loss", "said"), [(float("nan"), "the loss is nan at step 7"), (float("inf"), "inf"), (6.1, "it explodes")]
)
def test_a_loss_that_goes_wrong_is_diagnosed(loss, said):
    with pytest.raises(InputError, match=said):
        diagnose(2.0, loss, 7, explosion=3.0)
    diagnose(2.0, 5.9, 7, explosion=3.0)
    diagnose(0.001, 0.2, 7, explosion=3.0)


def test_a_real_training_whose_loss_is_not_a_number_stops(checkpoint, records, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(checkpoint, tmp_path / "broken")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"].fill_(float("nan"))
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="the loss is nan at step 1"):
        train(folder, records, tmp_path / "a", tmp_path / "w")
    assert not (tmp_path / "w").exists(), "its checkpoints would be gone on with"


def test_difficulties_that_no_record_has_are_named(records):
    with pytest.raises(InputError, match="no record of difficulty"):
        of_difficulty(records, ["hard"])
