import json

import pytest

from helpers.curation import read_items, write_rows
from ingot.errors import InputError

SUMS = [
    {"question": f"Ann has {i} apples and gets {i}. How many?", "answer": f"{i}+{i}\n#### {2 * i}"} for i in range(8)
]
CALL = {"id": "a_1", "question": [[{"role": "user", "content": "Area of base 10?"}]], "function": [{"name": "area"}]}


def test_items_know_what_must_not_be_trained_on(tmp_path):
    items, report = read_items(tmp_path, "gsm8k", SUMS, most=5)
    assert report == {"suite": "mine", "task": "gsm8k", "items": 8, "shown": 0, "asked": 5}
    assert {(item["instruction"], item["response"]) for item in items} <= {(s["question"], s["answer"]) for s in SUMS}
    assert items[0]["metadata"]["source"] == "mine"


def test_examples_in_one_object_are_items(tmp_path):
    examples = {"canary": "x", "examples": [{"input": "Sort: b a", "target": "a b"}]}
    items, _ = read_items(tmp_path, "bbh", [examples], name="task.json")
    assert [(item["instruction"], item["response"]) for item in items] == [("Sort: b a", "a b")]


def test_answers_of_another_file_are_joined_by_id(tmp_path):
    accepted = tmp_path / "accepted.jsonl"
    accepted.write_text(json.dumps({"id": "a_1", "ground_truth": [{"area": {"base": [10]}}]}) + "\n")
    items, _ = read_items(tmp_path, "function_calls", [CALL], [accepted])
    assert items[0]["item"]["ground_truth"] == [{"area": {"base": [10]}}]
    with pytest.raises(InputError, match="1 items have no answer in .*accepted.jsonl, the first is a_2"):
        read_items(tmp_path, "function_calls", [CALL | {"id": "a_2"}], [accepted])


def test_the_wrong_file_for_a_suite_is_named(tmp_path):
    with pytest.raises(InputError, match="data.jsonl: an item does not fit its suite: 'question' is undefined"):
        read_items(tmp_path, "gsm8k", [{"input": "a", "target": "b"}])


def test_examples_that_are_too_few_or_make_no_sense_are_refused(tmp_path):
    path = write_rows(tmp_path / "examples.jsonl", SUMS[:3])
    with pytest.raises(InputError, match="examples.jsonl: 3 examples, fewer than the 5 of `shots`"):
        read_items(tmp_path, "gsm8k", SUMS[3:], examples=[path])
    with pytest.raises(InputError, match="mine: `examples` cannot be shown: its answers are lists"):
        read_items(tmp_path, "function_calls", [CALL], examples=[path])


def test_a_suite_of_nothing_but_examples_is_refused(tmp_path):
    path = write_rows(tmp_path / "examples.jsonl", SUMS[:2])
    with pytest.raises(InputError, match="there is nothing to ask; 2 items, all of them shown as examples"):
        read_items(tmp_path, "gsm8k", SUMS[:2], examples=[path], shots=2)
