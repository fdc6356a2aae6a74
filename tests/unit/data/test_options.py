import json

import pytest

from helpers.curation import LABELS, read_file
from ingot.curation.shapes import standardise
from ingot.errors import InputError
from ingot.settings.data import Fields

LISTED = Fields(instruction="question", response="answer", choices="choices")
FROM_ZERO = Fields(instruction="question", response="answer", choices="choices", first_choice=0)
COLUMNS = Fields(instruction="question", response="answer", choices=["a", "b", "c", "d"])
FROM_ONE = Fields(instruction="question", response="answer", choices="choices", first_choice=1)
TOWNS = ["Rome", "Paris", "Oslo"]


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        (FROM_ZERO, {"choices": TOWNS, "answer": 1}),  # MMLU, HellaSwag
        (FROM_ZERO, {"choices": TOWNS, "answer": 1.0}),
        (FROM_ZERO, {"choices": TOWNS, "answer": "1"}),
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
        ({"choices": TOWNS, "answer": 1}, "say by `first_choice` whether the first option is 0 or 1"),
        ({"choices": TOWNS, "answer": 4}, "'4', can mean none of 3 options"),
        ({"choices": TOWNS, "answer": "9" * 5000}, "of 5000 characters, can mean none"),
        ({"choices": TOWNS, "answer": "-1"}, "'-1', can mean none"),
        ({"choices": TOWNS, "answer": "D"}, "'D', can mean none"),
        ({"choices": TOWNS, "answer": "Berlin"}, "'Berlin', can mean none"),
        ({"choices": TOWNS, "answer": True}, "'True', can mean none"),
        ({"choices": ["None", "x"], "answer": None}, "can mean none"),
        ({"choices": ["a mammal", "a fish"], "answer": "The answer is a fish."}, "can mean none"),
        ({"choices": ["x", "x"], "answer": "x"}, "'x', can mean several"),
        ({"choices": ["AB", "A", "B", "O"], "answer": "B"}, "'B', can mean several of 4 options"),
        ({"choices": [["Rome"], "Oslo"], "answer": "A"}, "an option is no text: list"),
        ({"choices": ["Rome"], "answer": "A"}, "there are 1 options"),
        ({"choices": ["Rome", "", "Oslo"], "answer": "A"}, "there are 2 options"),
        ({"choices": 27 * ["x"], "answer": "A"}, "there are 27 options"),
        ({"choices": "Rome, Paris", "answer": "A"}, "choices is no list of options"),
        ({"answer": "A"}, "choices is no list of options"),
    ],
)
def test_an_answer_that_is_no_option_is_refused_and_says_why(row, seen, tmp_path):
    (tmp_path / "s.jsonl").write_text(json.dumps({"question": "Where?", **row}) + "\n")
    _, rejected, _ = read_file(tmp_path / "s.jsonl", tmp_path, shape=LISTED)
    assert rejected[0]["reason"] == "answer_is_no_option"
    assert seen in rejected[0]["evidence"]


def test_a_number_is_a_place_and_a_text_may_be_one():
    question = {"question": "2 + 2?", "choices": ["2", "3", "4"]}
    assert standardise({**question, "answer": 2}, LABELS, FROM_ZERO)[0]["response"] == "(C)"
    assert standardise({**question, "answer": "3"}, LABELS, FROM_ZERO)[0]["response"] == "(B)"
    assert standardise({**question, "answer": "2"}, LABELS, FROM_ZERO) == (None, "answer_is_no_option")
    assert standardise({**question, "answer": "4"}, LABELS, LISTED)[0]["response"] == "(C)"


def test_a_column_of_options_that_no_row_has_is_named(tmp_path):
    row = json.dumps({"question": "Where?", "a": "Rome", "b": "Paris", "answer": "B"})
    (tmp_path / "s.jsonl").write_text(f"{row}\n")
    with pytest.raises(InputError, match="no row has the field 'c'"):
        read_file(tmp_path / "s.jsonl", tmp_path, shape=COLUMNS)


def test_no_part_of_a_long_answer_is_shown(tmp_path):
    """Half of a secret is not recognised as one."""
    secret = "token ghp_" + "a1B2" * 9
    (tmp_path / "s.jsonl").write_text(json.dumps({"question": "Q", "choices": TOWNS, "answer": secret}) + "\n")
    assert "ghp_" not in read_file(tmp_path / "s.jsonl", tmp_path, shape=LISTED)[1][0]["evidence"]


def test_a_first_option_of_another_number_is_doubted(tmp_path):
    """Where one in four answers is 0, the options are not numbered from 1: then the others name wrong ones."""
    rows = [{"question": f"Where is {i}?", "choices": TOWNS, "answer": i % 3} for i in range(30)]
    path = tmp_path / "s.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert len(read_file(path, tmp_path, shape=FROM_ZERO)[0]) == 30
    with pytest.raises(InputError, match="10 answers name no option, such as: .*'0', .*If `first_choice`"):
        read_file(path, tmp_path, shape=FROM_ONE)
