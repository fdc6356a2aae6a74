import pytest

from helpers.settings import CONSISTENCY
from ingot.errors import InputError
from ingot.inference.answer import Answer
from ingot.io.records import read_json, read_records, write_records
from ingot.measuring.answers import answer_row
from workflow_scripts.adapter.collect_failures import collect_failures, solutions, sort_out


def answers(question, *texts, stopped=True):
    return [answer_row(question, Answer(text, stopped), sample) for sample, text in enumerate(texts)]


def test_a_consistent_answer_counts_only_if_it_is_right_and_ended(record):
    question = record("What is 3 + 4?", "7", domain="math", checker="number")
    assert solutions(question, answers(question, "7", "7", "It is 7"), CONSISTENCY) == ["It is 7"]
    assert solutions(question, answers(question, "8", "8", "8"), CONSISTENCY) == []
    assert solutions(question, answers(question, "7", stopped=False), CONSISTENCY) == []
    two_of_three = answers(question, "7", "7") + answers(question, "7 and", stopped=False)
    assert solutions(question, two_of_three, CONSISTENCY) == ["7"]
    tale = record("Tell a tale", "anything", domain="creativity")
    told = answers(tale, "a red fox", "blue whales sing")
    assert solutions(tale, told, CONSISTENCY) == ["a red fox", "blue whales sing"]


def test_without_settings_a_record_is_rehearsed_as_it_is_if_it_was_answered_right(record):
    question = record("What is 3 + 4?", "7", domain="math", checker="number")
    assert solutions(question, answers(question, "It is 7"), None) == ["7"]
    assert solutions(question, answers(question, "8"), None) == []


def test_failures_have_one_schema_and_say_how_they_fail(record):
    call = record("Call Ann", '{"name": "call"}', domain="automation", checker="json")
    records = [call, call, record("Repeat a", "a a"), record("Repeat b", "b b")]
    given = [
        answers(call, '{"name": "c'),
        answers(call, '{"name": "other"}'),
        answers(records[2], "a a a", stopped=False),
        answers(records[3], "b b"),
    ]
    failed, solved = sort_out(records, given, CONSISTENCY, "round 0")
    assert [row["failure"]["kind"] for row in failed] == ["error", "wrong", "unended"]
    assert failed[0]["failure"] == {"kind": "error", "answer": '{"name": "c', "model": "round 0"}
    assert {key: failed[0][key] for key in call} == call
    assert [row["response"] for row in solved] == ["b b"]


@pytest.fixture
def run(record, tmp_path):
    questions = [
        record("right", "x"), record("wrong", "x"), record("open", "x", domain="creativity"),
        record("endless", "x", domain="creativity"),
    ]  # fmt: skip
    said = [Answer("x", True), Answer("y", True), Answer("a tale", True), Answer("a tale that", False)]
    write_records(tmp_path / "questions", ({**q, "ask": {"samples": 1, "temperature": 0.0}} for q in questions))
    write_records(tmp_path / "answers", (answer_row(q, a) for q, a in zip(questions, said, strict=True)))

    def run(least_failures=0, judged=("creativity",)):
        names = ("questions", "answers", "failures", "solved", "open", "report")
        settings = {"model": "round 0", "consistency": CONSISTENCY, "judged": list(judged)}
        collect_failures(*(tmp_path / name for name in names), **settings, least_failures=least_failures)
        return [[row["instruction"] for row in read_records(tmp_path / name)] for name in names[2:5]]

    return run


def test_answers_are_sorted_into_failures_solutions_and_what_a_judge_must_see(run, tmp_path):
    failed, solved, left = run()
    assert (failed, solved, left) == (["wrong", "endless"], ["right"], ["open"])
    assert next(read_records(tmp_path / "open"))["answered"] == "a tale"
    assert "ask" not in next(read_records(tmp_path / "failures"))
    report = read_json(tmp_path / "report")
    assert (report["asked"], report["failed"], report["left_to_the_judge"]) == (4, 2, 1)


def test_too_few_failures_are_an_error_that_says_what_to_do(run):
    with pytest.raises(InputError, match="round 0 fails only 2 of 4 prompts, 3 are needed"):
        run(least_failures=3)
