import pytest

from helpers.settings import CONSISTENCY
from ingot.inference.answer import Answer
from ingot.measuring.consistency import consistent, diverse, groups
from ingot.text.checkers import same_number
from workflow_scripts.adapter.ask import records_of, sampled, solutions, sort_out


def answers(*texts, stopped=True):
    return [Answer(text, stopped) for text in texts]


def test_answers_are_grouped_by_what_they_say():
    assert groups(["7", "8", "It is 7", "7.0"], same_number) == [["7", "It is 7", "7.0"], ["8"]]


@pytest.mark.parametrize(("right", "expected"), [(6, "It is 7"), (5, None)])
def test_a_majority_of_sixty_percent_is_needed_and_its_longest_answer_taken(right, expected):
    said = ["It is 7"] + ["7"] * (right - 1) + [str(i) for i in range(10, 20 - right)]
    assert len(said) == 10
    assert consistent(said, same_number, 6) == expected


def test_diverse_answers_are_unlike_each_other():
    said = ["a red fox", "a red fox runs", "blue whales sing", "", "old trees fall slowly", "one two three"]
    assert diverse(said, 3, 0.5) == ["a red fox", "blue whales sing", "old trees fall slowly"]


def test_only_domains_with_a_temperature_are_sampled(record):
    asked = []

    def complete(prompts, temperature, count):
        asked.append((prompts, temperature, count))
        return [answers(*["x"] * count) for _ in prompts]

    records = [record("a", "x"), record("b", "x", domain="reasoning"), record("c", "x", domain="creativity")]
    found = sampled(records, CONSISTENCY, [], complete)
    assert asked == [(["a"], 0.0, 1), (["b"], 0.1, 10), (["c"], 0.7, 10)]
    assert [len(one) for one in found] == [1, 10, 10]
    assert [len(one) for one in sampled(records, CONSISTENCY, ["creativity"], complete)] == [1, 10, 1]


def test_a_consistent_answer_counts_only_if_it_is_right_and_ended(record):
    question = record("What is 3 + 4?", "7", domain="math", checker="number")
    assert solutions(question, answers("7", "7", "It is 7"), CONSISTENCY) == ["It is 7"]
    assert solutions(question, answers("8", "8", "8"), CONSISTENCY) == []
    assert solutions(question, answers("7", stopped=False), CONSISTENCY) == []
    assert solutions(question, answers("7", "7") + answers("7 and", stopped=False), CONSISTENCY) == [
        "7"
    ]  # two of three
    tale = record("Tell a tale", "anything", domain="creativity")
    assert solutions(tale, answers("a red fox", "blue whales sing"), CONSISTENCY) == ["a red fox", "blue whales sing"]


def test_failures_have_one_schema_and_say_how_they_fail(record):
    call = record("Call Ann", '{"name": "call"}', domain="automation", checker="json")
    records = [call, call, record("Repeat a", "a a"), record("Repeat b", "b b")]
    given = [answers('{"name": "c'), answers('{"name": "other"}'), answers("a a a", stopped=False), answers("b b")]
    failed, solved = sort_out(records, given, CONSISTENCY, "round 0")
    assert [row["failure"]["kind"] for row in failed] == ["error", "wrong", "unended"]
    assert failed[0]["failure"] == {"kind": "error", "answer": '{"name": "c', "model": "round 0"}
    assert {key: failed[0][key] for key in call} == call
    assert [row["response"] for row in solved] == ["b b"]


def test_every_round_asks_other_records_until_all_had_their_turn(record):
    records = [record(f"q{i}", "a") for i in range(5)]
    turns = [[r["id"] for r in records_of(records, 2, turn)] for turn in (1, 2, 3)]
    assert len({*turns[0], *turns[1]}) == 4
    assert turns[2][1] == turns[0][0]
    assert len(records_of(records, 9, 4)) == 5
