import pytest

from helpers.curation import DECONTAMINATE, results, three
from ingot.curation.overlap import BenchmarkIndex
from ingot.errors import InputError
from ingot.io.records import write_records
from workflow_scripts.data.decontaminate import decontaminate

LONG = "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many?"
SOLUTION = (
    "Natalia sold 48/2 = 24 clips in May, since half of the forty-eight that she sold to her friends in April are"
    " twenty-four. Then she sold 48+24 = 72 clips altogether in the two months of April and May, which is the answer."
)


@pytest.fixture
def index():
    items = [{"instruction": LONG, "response": SOLUTION}, {"instruction": "Sort: 3 1 2", "response": "1 2 3"}]
    return BenchmarkIndex(items, DECONTAMINATE)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (LONG, "72"),
        (LONG.upper(), "72"),
        (f"  {LONG.replace(' ', '  ')} ", "72"),
        (f"Question: {LONG} Think step by step.\nAnswer:", "72"),
        (LONG.replace("April", "March"), "72"),
        ("Solve the problem that follows.", f"The problem is: {LONG} The answer is 72."),
        ("Explain your solution.", f"Well: {SOLUTION} That is all."),
        ("sort:  3 1 2", "1 2 3"),
    ],
)
def test_a_repeated_item_is_found_in_every_dress(index, question, answer):
    assert index.find(question, answer) is not None


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Sort: 3 1 4", "1 3 4"),
        ("Sort: 3 1 2 9 8 7", "1 2 3 7 8 9"),
        ("Natalia sold a house to one of her friends in June. How much did she earn in all?", "A lot."),
        ("Count to three.", "1 2 3"),
        ("", ""),
    ],
)
def test_another_question_is_not(index, question, answer):
    assert index.find(question, answer) is None


def run(tmp_path, records, items):
    write_records(tmp_path / "in.jsonl", records)
    write_records(tmp_path / "bench.jsonl", items)
    paths = three(tmp_path, "clean")
    benchmarks = [tmp_path / "bench.jsonl"] if items else []
    decontaminate(tmp_path / "in.jsonl", benchmarks, *paths, settings=DECONTAMINATE)
    return results(paths)


def test_the_step_lists_what_it_drops_by_benchmark(tmp_path, record):
    items = [record(LONG, "72", source="gsm8k.jsonl"), record("Sort: 1", "1", source="sort.jsonl")]
    kept, rejected, report = run(tmp_path, [record(LONG.upper(), "72"), record("Sort: 9 8", "8 9")], items)
    assert [r["instruction"] for r in kept] == ["Sort: 9 8"]
    assert rejected[0]["evidence"] == f"gsm8k.jsonl: {LONG!r}: same question"
    assert report["hits"] == {"gsm8k.jsonl": 1, "sort.jsonl": 0}


def test_without_benchmarks_everything_stays(tmp_path, record):
    assert len(run(tmp_path, [record("Sort: 9 8", "8 9")], [])[0]) == 1


def test_training_on_nothing_but_a_benchmark_is_refused(tmp_path, record):
    with pytest.raises(InputError, match="is a benchmark among the sources"):
        run(tmp_path, [record(LONG, "72")], [record(LONG, "72")])
