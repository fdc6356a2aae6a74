import json
from dataclasses import replace
from typing import get_args

import pytest

from helpers.curation import LABELS, READ, read_file, write_rows
from ingot.curation.shapes import DIFFICULTIES, FINDERS, SHAPES, standardise
from ingot.errors import InputError
from ingot.io.formats import WHOLE, Part, by_id, rows
from ingot.settings.data import Checker, Fields, KnownShape
from ingot.settings.world import Difficulty
from ingot.text.checkers import NAMES, is_right


@pytest.mark.parametrize(
    ("source", "shape"),
    [
        ({"instruction": "Q", "input": "", "output": "A"}, "alpaca"),
        ({"instruction": "Q", "context": "", "response": "A"}, "dolly"),
        ({"system_prompt": "", "question": "Q", "response": "A"}, "openorca"),
        ({"question": "Q", "answer": "A"}, "question_answer"),
        ({"prompt": "Q", "completion": "A"}, "prompt_completion"),
        ({"instruction": "Q", "response": "A"}, "instruction_response"),
        ({"input": "Q", "target": "A"}, "input_target"),
        ({"prompt": "Q", "canonical_solution": "A", "test": "T"}, "human_eval"),
        ({"instruction": "Q", "instances": [{"input": "", "output": "A"}]}, "self_instruct"),
        ({"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}, "messages"),
        (
            {
                "messages": [
                    {"role": "system", "content": "S"},
                    {"role": "user", "content": "Q"},
                    {"role": "assistant", "content": "A"},
                ]
            },
            "messages",
        ),
        ({"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]}, "sharegpt"),
        ({"frage": "Q", "antwort": "A"}, Fields(instruction="frage", response="antwort")),
    ],
)
def test_every_shape_becomes_the_same_record_found_or_named(source, shape):
    for named in [shape] if isinstance(shape, Fields) else [shape, None]:
        record, reason = standardise(source, LABELS, named)
        assert reason == ""
        assert (record["instruction"], record["response"], record["metadata"]["domain"]) == ("Q", "A", "code")


def test_what_goes_before_and_after_a_question_is_part_of_it():
    record, _ = standardise({"instruction": "Sort", "input": "3 1", "output": "1 3"}, LABELS, None)
    assert record["instruction"] == "Sort\n\n3 1"
    record, _ = standardise({"system_prompt": "Be short.", "question": "Why?", "response": "So."}, LABELS, None)
    assert record["instruction"] == "Be short.\n\nWhy?"


def test_another_shape_than_the_named_one_is_not_guessed():
    assert standardise({"question": "Q", "answer": "A"}, LABELS, "alpaca") == (None, "missing_fields")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (["a list"], "not_an_object"),
        ({}, "missing_fields"),
        ({"text": "only text"}, "missing_fields"),
        ({"messages": [{"role": "user", "content": "Q"}]}, "missing_fields"),
        ({"messages": "no list"}, "missing_fields"),
        ({"instances": []}, "missing_fields"),
        ({"question": [5], "answer": "A"}, "not_text"),
        ({"question": "Q", "answer": True}, "not_text"),
        ({"question": "Q", "answer": float("inf")}, "not_text"),
        ({"instruction": "Q", "input": {"a": 5}, "output": "A"}, "not_text"),
        ({"question": " ", "answer": "A"}, "empty_text"),
        ({"question": "\ud800", "answer": "A"}, "lone_surrogate"),
        ({"question": "Q", "answer": "A", "quality_score": "9"}, "bad_metadata"),
        ({"question": "Q", "answer": "A", "quality_score": float("nan")}, "bad_metadata"),
        ({"question": "Q", "answer": "A", "domain": ["code"]}, "bad_metadata"),
        ({"question": "Q", "answer": "A", "domain": "../(1)"}, "bad_metadata"),
        ({"question": "Q", "answer": "A", "difficulty": []}, "bad_metadata"),
        ({"question": "Q", "answer": "A", "checker": "vibes"}, "bad_metadata"),
        ({"question": "Q", "answer": "#### many", "checker": "number"}, "answer_does_not_fit_checker"),
    ],
)
def test_a_record_that_cannot_be_used_is_refused_with_its_reason(source, reason):
    assert standardise(source, LABELS, None) == (None, reason)


def test_what_a_source_leaves_null_gets_its_default():
    source = {"question": "Q", "answer": "A", "domain": None, "difficulty": None, "quality_score": 7.5}
    metadata = standardise(source, LABELS, None)[0]["metadata"]
    assert (metadata["domain"], metadata["difficulty"], metadata["quality_score"]) == ("code", "medium", 7.5)


def test_a_source_names_the_checker_of_records_that_name_none():
    labels = replace(LABELS, checker="open")
    assert standardise({"question": "Q", "answer": "A"}, labels, None)[0]["metadata"]["checker"] == "open"
    row = {"question": "Q", "answer": "A", "checker": "text"}
    assert standardise(row, labels, None)[0]["metadata"]["checker"] == "text"
    assert get_args(Checker) == NAMES


def test_what_metadata_say_that_cannot_be_is_shown(tmp_path):
    (tmp_path / "s.jsonl").write_text('{"question": "Q", "answer": "A", "difficulty": "so so"}\n')
    assert read_file(tmp_path / "s.jsonl", tmp_path)[1][0]["evidence"] == "difficulty is 'so so'"


def test_a_domain_in_words_becomes_a_name():
    row = {"question": "Q", "answer": "A", "domain": "Computer Science (2)"}
    assert standardise(row, LABELS, None)[0]["metadata"]["domain"] == "computer_science_2"


def test_a_number_is_the_text_that_a_csv_file_would_hold():
    record, _ = standardise({"instruction": "Q", "input": 5, "output": 72.0}, LABELS, "alpaca")
    assert (record["instruction"], record["response"], record["metadata"]["checker"]) == ("Q\n\n5", "72", "number")
    assert standardise({"question": "Q", "answer": 10**400}, LABELS, None)[0]["response"] == "1" + 400 * "0"
    assert standardise({"question": "Q", "answer": 0.25}, LABELS, None)[0]["response"] == "0.25"


def test_a_source_of_which_no_row_is_a_record_stops_and_says_what_is_there(tmp_path):
    (tmp_path / "s.csv").write_text("qid,question,answer\n" + "1,Q,A\n" * 30)
    with pytest.raises(
        InputError, match=r"s\.csv: none of 30 rows .* missing_fields 30 times \(no query; there are qid,"
    ):
        read_file(tmp_path / "s.csv", tmp_path / "a", shape=Fields(instruction="query", response="answer"))
    (tmp_path / "few.csv").write_text("qid,question,answer\n" + "1,Q,A\n" * 3)
    shape = Fields(instruction="query", response="answer")
    kept, rejected, _ = read_file(tmp_path / "few.csv", tmp_path / "b", shape=shape)
    assert not kept
    assert {one["evidence"] for one in rejected} == {"no query; there are qid, question, answer"}
    (tmp_path / "lists.jsonl").write_text('{"question": "Q", "answer": ["A"], "n": 1}\n')
    assert read_file(tmp_path / "lists.jsonl", tmp_path / "c")[1][0]["evidence"] == "answer is a list"


def test_a_secret_among_the_names_of_fields_is_not_shown(tmp_path):
    secret = "hf_" + "ingotsecretvalue" + "0123456789" * 2
    (tmp_path / "s.jsonl").write_text(f'{{"{secret}": "x"}}\n' * 30)
    with pytest.raises(InputError, match="none of 30 rows") as error:
        read_file(tmp_path / "s.jsonl", tmp_path)
    assert secret not in str(error.value)


def test_a_field_that_no_row_has_is_named(tmp_path):
    """A row may lack what goes before or after its question; if all do, the name is wrong."""
    (tmp_path / "s.jsonl").write_text(
        '{"question": "Q", "options": "(A) x", "answer": "A"}\n{"question": "R", "answer": "B"}\n'
    )
    right, wrong = (Fields(instruction="question", input=name, response="answer") for name in ("options", "option"))
    kept, _, _ = read_file(tmp_path / "s.jsonl", tmp_path / "a", shape=right)
    assert sorted(record["instruction"] for record in kept) == ["Q\n\n(A) x", "R"]
    with pytest.raises(InputError, match="no row has the field 'option', which the `shape`"):
        read_file(tmp_path / "s.jsonl", tmp_path / "b", shape=wrong)


def write_questions(path, count):
    path.write_text("".join(f'{{"question": "Q{i}", "answer": "A"}}\n' for i in range(count)))


def test_a_sample_is_the_same_each_time_and_grows(tmp_path):
    write_questions(tmp_path / "s.jsonl", 2000)
    small, rejected, _ = read_file(tmp_path / "s.jsonl", tmp_path / "a", sample=0.1)
    large, _, _ = read_file(tmp_path / "s.jsonl", tmp_path / "b", sample=0.2)
    assert 150 < len(small) < 250 < 350 < len(large) < 450
    assert {r["id"] for r in small} <= {r["id"] for r in large}
    assert {r["reason"] for r in rejected} == {"not_sampled"}


@pytest.mark.parametrize("count", [1, 4, 64])
def test_parts_have_every_row_once(tmp_path, count):
    write_questions(tmp_path / "s.jsonl", 5500)
    kept = [read_file(tmp_path / "s.jsonl", tmp_path / str(i), part=Part(i, count))[0] for i in range(count)]
    assert sorted(r["instruction"] for records in kept for r in records) == sorted(f"Q{i}" for i in range(5500))


def test_rows_added_at_the_end_change_one_part(tmp_path):
    before, after = tmp_path / "before.jsonl", tmp_path / "after.jsonl"
    write_questions(before, 5500)
    write_questions(after, 5700)
    changed = [
        read_file(before, tmp_path / f"b{i}", part=Part(i, 4))[0]
        != read_file(after, tmp_path / f"a{i}", part=Part(i, 4))[0]
        for i in range(4)
    ]
    assert sum(changed) == 1


def test_the_settings_know_all_shapes_and_difficulties():
    assert set(get_args(KnownShape)) == {*SHAPES, *FINDERS}
    assert get_args(Difficulty) == DIFFICULTIES


CALL = {"id": "a_1", "question": [[{"role": "user", "content": "Area?"}]], "function": [{"name": "area"}]}
ACCEPTED = [{"area": {"base": [10, 11], "unit": ["cm", ""], "at": [{"x": [1], "y": ["", 2]}]}}]


def test_answers_of_another_file_are_joined_by_id_and_a_call_gets_its_checker(tmp_path):
    from workflow_scripts.data.read import with_answer

    write_rows(tmp_path / "tasks.jsonl", [CALL, CALL | {"id": "a_2"}])
    answers = write_rows(tmp_path / "answers.jsonl", [{"id": "a_1", "ground_truth": ACCEPTED}])
    known = by_id([answers], READ)
    first, second = (
        standardise(with_answer(row, known).value, LABELS, None)
        for row in rows(tmp_path / "tasks.jsonl", None, READ, WHOLE)
    )
    record, reason = first
    assert reason == "" and second == (None, "missing_fields")
    assert json.loads(record["response"]) == {"name": "area", "arguments": {"base": 10, "at": {"x": 1}}}
    assert record["metadata"]["checker"] == "call" and record["metadata"]["accepted"] == ACCEPTED
    assert "Area?" in record["instruction"] and '"name": "area"' in record["instruction"]
    for answer, right in (
        (record["response"], True),
        ('{"name": "area", "arguments": {"base": 11, "unit": "CM", "at": {"x": 1, "y": 2}}}', True),
        ("area(base=10, at={'x': 1})", True),
        ('{"name": "area", "arguments": {"base": 12, "at": {"x": 1}}}', False),
        ('{"name": "area", "arguments": {"base": 10}}', False),
        ("no call", False),
    ):
        assert is_right("call", answer, record["response"], ACCEPTED) is right, answer


@pytest.mark.parametrize("rows", [[{"a": 1}], [{"id": 1, "a": 1}, {"id": 1, "a": 2}]])
def test_answers_that_cannot_be_told_apart_are_refused(tmp_path, rows):
    with pytest.raises(InputError, match=r"answers.jsonl: .*`?id`?"):
        by_id([write_rows(tmp_path / "answers.jsonl", rows)], READ)


def test_a_secret_among_the_accepted_answers_is_forgotten():
    from workflow_scripts.data.read import clear

    for value, stays in (("cm", True), ("bob.smith@gmail.com", False)):
        truth = [{"send": {"to": ["me", value]}}]
        record, _ = standardise(CALL | {"ground_truth": truth}, LABELS, None)
        clear(record, "US")
        assert ("accepted" in record["metadata"]) is stays


LOOP = "f" + "()" * 2000


@pytest.mark.parametrize("answer", ["f(a=1, b={'x': 1})", LOOP, "a" + ".a" * 3000 + "(x=1)", "[" * 5000])
def test_odd_answers_to_a_call_are_wrong_and_stop_nothing(answer):
    for accepted in ([{"f": {"a": [1], "b": ["", {"x": 5}]}}], [{"f": {"a": [1]}}]):
        assert is_right("call", answer, "{}", accepted) is False


@pytest.mark.parametrize(
    "truth",
    [
        None,
        [],
        {},
        "area",
        7,
        [7],
        [{}],
        [{"a": 1}],
        [{"a": {"b": []}}],
        [{"a": {}}, {}],
        [{"a": {"b": {"c": 1}}}],
        [{"a": {"b": [[{"c": [1]}]]}}],
        [{"f": {"a": [1], "b": ["", {"x": 5}]}}],
    ],
)
def test_a_broken_ground_truth_is_no_record(truth):
    assert standardise(CALL | {"ground_truth": truth}, LABELS, None) == (None, "missing_fields")


def test_a_call_without_a_list_of_what_is_accepted_is_compared_with_its_reference():
    assert is_right("call", "f(x=1)", '{"name": "f", "arguments": {"x": 1}}')
    assert not is_right("call", "f(x=2)", '{"name": "f", "arguments": {"x": 1}}')
