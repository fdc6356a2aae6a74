"""A targeted round on a model of two layers: kept if it is better, else the adapter before it is given on."""

import hashlib
from pathlib import Path

import pytest

from helpers.settings import TRAINING, changed
from ingot.io.records import read_json, write_json, write_records
from ingot.measuring.failures import with_rehearsal
from ingot.measuring.rounds import halves, verdict
from ingot.settings.adapter import RoundLimits
from ingot.training.sft import fine_tune
from workflow_scripts.adapter.target import target

LIMITS = RoundLimits(max_p_value=0.05, max_forgetting=1)


def rows(*marks, domain="math"):
    return [{"domain": domain, "right": bool(mark)} for mark in marks]


def test_a_round_is_kept_only_if_the_gain_is_no_chance():
    assert verdict(rows(*[0] * 10), rows(*[1] * 7, *[0] * 3), LIMITS, 1)["kept"]  # p = .0156
    assert not verdict(rows(*[0] * 10), rows(*[1] * 6, *[0] * 4), LIMITS, 1)["kept"]  # p = .0313, .0304 may be spent
    assert not verdict(rows(*[1] * 7, *[0] * 3), rows(*[0] * 10), LIMITS, 1)["kept"]
    assert not verdict(rows(*[0] * 10), rows(*[1] * 7, *[0] * 3), LIMITS, 2)["kept"], "a second chance is not free"


def test_a_round_that_forgets_is_not_kept_however_much_it_gains():
    before = rows(*[0] * 40) + rows(*[1] * 40, domain="code")
    after = rows(*[1] * 40) + rows(*[1] * 39, 0, domain="code")
    found = verdict(before, after, LIMITS, 1)
    assert found["versus_before"]["gain"] > 0
    assert found["forgetting"] == 1.25
    assert not found["kept"]
    assert verdict(before, after, changed(LIMITS, max_forgetting=1.25), 1)["kept"]


def test_failures_are_all_taught_and_solutions_rehearsed_by_their_number(record):
    failed, solved = [record(f"f{i}", "x") for i in range(4)], [record(f"s{i}", "x") for i in range(9)]
    taught = with_rehearsal(failed, solved, 0.5, seed=0)
    assert taught[:4] == failed
    assert len(taught) == 6
    assert with_rehearsal(failed, solved[:1], 0.5, seed=0) == [*failed, solved[0]]


def test_the_loss_is_not_watched_on_what_the_round_is_judged_by(record):
    records = [record(f"prompt {i}", "x") for i in range(200)]
    watched, proving = halves(records, Path("valid.jsonl"))
    assert len(watched) + len(proving) == 200
    assert min(len(watched), len(proving)) > 70


@pytest.fixture
def turn(checkpoint, record, tmp_path):
    """A function that runs a round with a settings change, and returns its folder and report."""
    records = [record(f"What is {i} + 1?", str(i + 1), domain="math", checker="number") for i in range(60)]
    folders = {"work": tmp_path / "w0", "curves": tmp_path / "curves"}
    fine_tune(checkpoint, records, records[:10], tmp_path / "before", TRAINING, **folders, seed=0, threads=1)
    for name, part in (("failures", records[:40]), ("solved", records[40:50]), ("valid", records)):
        write_records(tmp_path / name, part)

    def run(name, earlier=(), **changes):
        settings = {"least_failures": 1, "limits": RoundLimits(max_p_value=1, max_forgetting=100)} | changes
        target(
            checkpoint,
            tmp_path / "before",
            [tmp_path / "failures"],
            tmp_path / "solved",
            tmp_path / "valid",
            list(earlier),
            tmp_path / name,
            tmp_path / f"{name}.json",
            turn="1",
            difficulties=["easy"],
            training=changed(TRAINING, max_steps=24, evaluate_every=12, learning_rate=0.01),
            rehearsal=0.5,
            batch=16,
            longest=8,
            work=tmp_path / f"work_{name}",
            curves=str(tmp_path / "curves"),
            seed=0,
            threads=1,
            **settings,
        )
        return tmp_path / name, read_json(tmp_path / f"{name}.json")

    return run


def digest(folder):
    return hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()


@pytest.mark.graph
def test_a_round_goes_on_with_the_adapter_and_gives_it_on_if_it_did_not_help(turn, tmp_path):
    trained, report = turn("trained")
    assert report["training"]["steps"] == 24
    assert report["taught"] == 50
    assert report["kept"] == (report["versus_before"]["gain"] > 0)
    assert report["training"]["losses"][0]["loss"] < 6.2  # a new adapter would begin near ln 512
    again, second = turn("again")
    assert (second, digest(again)) == (report, digest(trained)), "twice the same"
    strict, refused = turn("strict", limits=RoundLimits(max_p_value=1e-9, max_forgetting=0))
    assert not refused["kept"]
    assert digest(strict) == digest(tmp_path / "before")


@pytest.mark.graph
def test_a_round_after_one_that_did_not_help_or_without_failures_is_not_trained(turn, tmp_path):
    write_json(tmp_path / "report.json", {"kept": False})
    stopped, report = turn("stopped", earlier=[tmp_path / "report.json"])
    assert report["stopped"] == "the round before did not help"
    assert digest(stopped) == digest(tmp_path / "before")
    _, few = turn("few", least_failures=41)
    assert few["stopped"] == "fewer than 41 failures are left"
