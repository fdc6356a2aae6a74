import json

import pytest

from helpers.curation import LABELS, read_file
from ingot.curation.shapes import standardise
from ingot.settings.data import Fields

LISTED = Fields(instruction="question", response="answer", choices="choices")
COLUMNS = Fields(instruction="question", response="answer", choices=["a", "b", "c", "d"])
FROM_ONE = Fields(instruction="question", response="answer", choices="choices", first_choice=1)
TOWNS = ["Rome", "Paris", "Oslo"]


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        (LISTED, {"choices": TOWNS, "answer": 1}),  # MMLU, HellaSwag
        (LISTED, {"choices": TOWNS, "answer": 1.0}),
        (LISTED, {"choices": TOWNS, "answer": "1"}),
        (FROM_ONE, {"choices": TOWNS, "answer": "2"}),
        (LISTED, {"choices": TOWNS, "answer": "B"}),
        (LISTED, {"choices": TOWNS, "answer": "(b)"}),
        (LISTED, {"choices": TOWNS, "answer": "The answer is (B)."}),
        (LISTED, {"choices": TOWNS, "answer": " Paris"}),
        (LISTED, {"choices": {"text": TOWNS, "label": ["1", "2", "3"]}, "answer": "2"}),  # ARC
        (COLUMNS, {"a": "Rome", "b": "Paris", "c": "Oslo", "d": "", "answer": "B"}),
        (COLUMNS, {"a": "Rome", "b": "Paris", "c": "Oslo", "d": None, "answer": "Paris"}),
    ],
)
def test_options_are_written_with_letters_and_the_answer_is_a_letter(fields, row):
    record, reason = standardise({"question": "Where is the Louvre?", **row}, LABELS, fields)
    assert reason == ""
    assert record["instruction"] == "Where is the Louvre?\n(A) Rome\n(B) Paris\n(C) Oslo"
    assert (record["response"], record["metadata"]["checker"]) == ("(B)", "choice")


@pytest.mark.parametrize(
    ("row", "seen"),
    [
        ({"choices": TOWNS, "answer": 3}, "'3' is none of 3 options, counted from 0"),
        ({"choices": TOWNS, "answer": "-1"}, "'-1' is none"),
        ({"choices": TOWNS, "answer": "D"}, "'D' is none"),
        ({"choices": TOWNS, "answer": "Berlin"}, "'Berlin' is none"),
        ({"choices": TOWNS, "answer": True}, "'True' is none"),
        ({"choices": ["x", "x"], "answer": "x"}, "'x' is none"),
        ({"choices": ["Rome"], "answer": "A"}, "there are 1 options"),
        ({"choices": ["Rome", "", "Oslo"], "answer": "A"}, "there are 2 options"),
        ({"choices": 27 * ["x"], "answer": "A"}, "there are 27 options"),
        ({"choices": "Rome, Paris", "answer": "A"}, "there is no list of options"),
        ({"answer": "A"}, "there is no list of options"),
    ],
)
def test_an_answer_that_is_no_option_is_refused_and_says_why(row, seen, tmp_path):
    (tmp_path / "s.jsonl").write_text(json.dumps({"question": "Where?", **row}) + "\n")
    _, rejected, _ = read_file(tmp_path / "s.jsonl", tmp_path, shape=LISTED)
    assert rejected[0]["reason"] == "answer_is_no_option"
    assert seen in rejected[0]["evidence"]


def test_a_number_is_a_place_and_a_text_is_an_option():
    question = {"question": "2 + 2?", "choices": ["2", "3", "4"]}
    assert standardise({**question, "answer": 2}, LABELS, LISTED)[0]["response"] == "(C)"
    assert standardise({**question, "answer": "2"}, LABELS, LISTED)[0]["response"] == "(A)"
