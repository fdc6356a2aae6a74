import pytest

from helpers.settings import CONSISTENCY
from ingot.errors import InputError
from ingot.io.records import read_records, write_json, write_records
from workflow_scripts.adapter.choose_questions import choose_questions, in_turn, manner

SAMPLED = {"samples": 10, "temperature": 0.7}
ONCE = {"samples": 1, "temperature": 0.0}


def test_every_round_asks_other_records_until_all_had_their_turn(record):
    records = [record(f"q{i}", "a") for i in range(5)]
    turns = [[r["id"] for r in in_turn(records, 2, turn)] for turn in (1, 2, 3)]
    assert len({*turns[0], *turns[1]}) == 4
    assert turns[2][1] == turns[0][0]
    assert len(in_turn(records, 9, 4)) == 5


def test_only_domains_with_a_temperature_are_sampled():
    assert manner("code", CONSISTENCY, []) == ONCE
    assert manner("creativity", CONSISTENCY, []) == SAMPLED
    assert manner("creativity", CONSISTENCY, ["creativity"]) == ONCE
    assert manner("creativity", None, []) == ONCE


@pytest.fixture
def run(record, tmp_path):
    records = [record("a", "x"), record("b", "x", domain="math"), record("c", "x", domain="math", difficulty="hard")]
    write_records(tmp_path / "train.jsonl", records)

    def run(domains=(), difficulties=(), earlier=()):
        choose_questions(
            tmp_path / "train.jsonl",
            list(earlier),
            tmp_path / "questions.jsonl",
            domains=list(domains),
            difficulties=list(difficulties),
            most_asked=10,
            turn="1",
            consistency=None,
            judged=[],
        )
        return list(read_records(tmp_path / "questions.jsonl"))

    return run


def test_questions_are_records_of_the_wanted_domains_and_difficulties(run):
    assert {row["instruction"] for row in run()} == {"a", "b", "c"}
    assert {row["instruction"] for row in run(domains=["math"])} == {"b", "c"}
    assert {row["instruction"] for row in run(difficulties=["hard"])} == {"c"}
    with pytest.raises(InputError, match="no training record has the domain 'poetry'"):
        run(domains=["poetry"])


def test_nothing_is_asked_after_a_round_that_did_not_help(run, tmp_path):
    write_json(tmp_path / "report.json", {"kept": False})
    assert run(earlier=[tmp_path / "report.json"]) == []
