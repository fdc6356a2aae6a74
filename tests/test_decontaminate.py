import pytest

from decontaminate import BenchmarkIndex, decontaminate
from lib.records import read_json, read_records, write_records

LONG = "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many clips?"


@pytest.fixture
def index():
    return BenchmarkIndex([{"instruction": LONG}, {"instruction": "Sort: 3 1 2"}], 3, 0.8)


@pytest.mark.parametrize(
    "prompt",
    [
        LONG,
        LONG.upper(),
        f"  {LONG.replace(' ', '  ')} ",
        f"Question: {LONG} Think step by step.\nAnswer:",
        LONG.replace("April", "March"),
        "sort:  3 1 2",
    ],
)
def test_a_repeated_item_is_found_in_every_dress(index, prompt):
    assert index.find(prompt) is not None


@pytest.mark.parametrize(
    "prompt",
    [
        "Sort: 3 1 4",
        "Sort: 3 1 2 9 8 7",
        "Natalia sold a house to one of her friends in June. How much did she earn in all?",
        "",
    ],
)
def test_another_question_is_not(index, prompt):
    assert index.find(prompt) is None


def test_the_step_lists_what_it_drops(tmp_path, record):
    write_records(tmp_path / "in.jsonl", [record(LONG.upper(), "72"), record("Sort: 9 8", "8 9")])
    write_records(tmp_path / "bench.jsonl", [record(LONG, "72", source="gsm8k.jsonl")])
    out = [tmp_path / name for name in ("kept.jsonl", "rejected.jsonl", "report.json")]
    decontaminate(tmp_path / "in.jsonl", [tmp_path / "bench.jsonl"], *out, shingle=3, threshold=0.8)
    assert [r["instruction"] for r in read_records(out[0])] == ["Sort: 9 8"]
    assert next(read_records(out[1]))["evidence"] == f"gsm8k.jsonl: {LONG!r}: same question"
    assert read_json(out[2])["hits"] == {"gsm8k.jsonl": 1}
