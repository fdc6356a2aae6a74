"""Tiers of teachers: a model that knows little, an endpoint that knows half, the answers of the records."""

import json
import re

import pytest

from helpers import endpoints
from ingot.errors import InputError
from ingot.io.records import read_json, read_records, write_records
from ingot.settings.modifiers import Teach
from workflow_scripts.modifiers.teach import cascade, chosen, teach

COUNT = 12
REFERENCE = {"name": "solver", "share": 1, "reference": True}


def endpoint(address, **changes):
    prices = {"input": 1, "output": 2}
    tier = {"name": "cheap", "share": 1, "endpoint": address, "model": "tiny", "key_variable": "TEACHER_KEY"}
    limits = {"concurrency": 2, "retries": 1, "timeout": 20, "longest": 16, "budget": {"tokens": None, "cost": 1}}
    return {**tier, **limits, "prices": prices, **changes}


class Halfwit(endpoints.FaultyProxy):
    """A teacher who adds even numbers right, and odd ones wrong."""

    def __init__(self):
        super().__init__(None, [])

    def answer(self, handler, body):
        self.fault(body, handler.headers["Authorization"])
        number = int(re.search(r"\d+", json.loads(body)["messages"][0]["content"]).group())
        self.reply(handler, f"It is {number + 1 + number % 2}", 10, 5)


@pytest.fixture
def run(record, tmp_path, monkeypatch):
    monkeypatch.setenv("TEACHER_KEY", endpoints.KEY)
    records = [
        record(f"What is {i} plus one?", str(i + 1), domain="math", checker="number") | {"cluster": i % 3}
        for i in range(COUNT)
    ]
    write_records(tmp_path / "clustered", records)
    write_records(tmp_path / "solved", [record(f"Add {i}", "1") for i in range(20)])

    def run(*tiers, most=None):
        teach(
            tmp_path / "clustered",
            tmp_path / "solved",
            [],
            tmp_path / "taught",
            tmp_path / "report",
            domain="math",
            settings=Teach(most=most, rehearsal=0.5, tiers=list(tiers)),
            batch=8,
            longest=8,
            remembered=str(tmp_path / "answers"),
            work=tmp_path / "work",
            seed=0,
            threads=1,
        )
        return list(read_records(tmp_path / "taught")), read_json(tmp_path / "report")

    return run


def test_failures_are_taken_from_the_clusters_in_turn(record):
    failures = [record(f"q{i}", "x") | {"cluster": 0 if i < 8 else 1} for i in range(10)]
    assert [one["cluster"] for one in chosen(failures, 4)] == [0, 1, 0, 1]
    assert len(chosen(failures, None)) == 10


def test_only_what_a_tier_fails_goes_up_and_its_share_bounds_it(record):
    asked = []

    def teacher(answer):
        def answers(records):
            asked.append([one["instruction"] for one in records])
            return [[answer] for _ in records], {}

        return answers

    wanted = [record(f"q{i}", "ab"[i % 2]) for i in range(8)]
    taught, lines, left = cascade(wanted, [("cheap", 0.5, teacher("a")), ("dear", 0.25, teacher("b"))])
    assert asked == [["q0", "q1", "q2", "q3"], ["q1", "q3"]]
    assert [(line["asked"], line["right"]) for line in lines] == [(4, 2), (2, 2)]
    assert [one["instruction"] for one in left] == ["q4", "q5", "q6", "q7"]
    assert len(taught) == 4


@pytest.mark.graph
def test_a_wrong_answer_of_an_endpoint_goes_up_to_the_next_tier(run):
    teacher = Halfwit()
    with teacher.running() as address:
        taught, report = run(endpoint(address), REFERENCE)
        assert [tier["right"] for tier in report["tiers"]] == [COUNT // 2, COUNT // 2]
        assert report["untaught"] == 0
        assert report["tiers"][0]["cost"]["answers"] == COUNT
        assert report["tiers"][0]["cost"]["cost_usd"] > 0
        assert teacher.authorizations == {f"Bearer {endpoints.KEY}"}
    even = [one for one in taught if one.get("taught_by") == "cheap"]
    assert all(one["response"].startswith("It is ") for one in even), "in the teacher's own words"
    assert len(taught) == COUNT + COUNT // 2, "and half as many rehearsed"
    again = run(endpoint(address), REFERENCE)
    assert again == (taught, report), "from memory: nobody listens there any more"


@pytest.mark.graph
def test_a_spent_budget_stops_and_what_was_answered_is_kept(run):
    with Halfwit().running() as address:
        with pytest.raises(InputError, match="budget of the teacher cheap is spent"):
            run(endpoint(address, concurrency=1, budget={"tokens": 250, "cost": None}), REFERENCE)
        _, report = run(endpoint(address, budget={"tokens": None, "cost": None}), REFERENCE)
        assert report["untaught"] == 0


@pytest.mark.graph
def test_a_real_server_and_a_local_model_teach_what_they_can(run, checkpoint, f16, tmp_path):
    local = {"name": "local", "share": 1, "checkpoint": str(checkpoint), "samples": 3, "temperature": 0.8}
    with endpoints.llama_server(f16, tmp_path / "log") as address:
        taught, report = run(endpoint(address), local, REFERENCE)
    assert [tier["asked"] for tier in report["tiers"]] == [COUNT, COUNT, COUNT], "untrained models know nothing"
    assert report["tiers"][1]["cost"] == {"answers": 3 * COUNT}
    assert sum("taught_by" in one for one in taught) == COUNT


@pytest.mark.graph
def test_no_right_answer_at_all_is_an_error(run, checkpoint):
    local = {"name": "local", "share": 1, "checkpoint": str(checkpoint), "samples": 1, "temperature": 0}
    with pytest.raises(InputError, match="no teacher has a right answer to any of the 4 failures in math; add a tier"):
        run(local, most=4)
