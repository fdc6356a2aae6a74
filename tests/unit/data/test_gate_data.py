import pytest

from helpers.curation import DECONTAMINATE
from ingot.errors import InputError
from ingot.io.records import write_records
from workflow_scripts.data.gate_data import gate_data

ITEM = "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many?"


@pytest.fixture
def files(tmp_path, record):
    """Paths of files: trained on, pretrained on, benchmark, test; nothing of one in another."""
    texts = {"train": "one question", "pretraining": "an easy question", "benchmark": ITEM, "test": "another question"}
    for name, text in texts.items():
        write_records(tmp_path / f"{name}.jsonl", [record(text, "a")])
    return tmp_path


def check(files):
    paths = {name: files / f"{name}.jsonl" for name in ("train", "pretraining", "benchmark", "test")}
    lists = {"trained": [paths["train"]], "pretrained": [paths["pretraining"]], "benchmarks": [paths["benchmark"]]}
    gate_data(**lists, test=paths["test"], verdict=files / "verdict.json", settings=DECONTAMINATE)


def test_the_gate_is_open_where_nothing_is_repeated(files):
    check(files)
    assert (files / "verdict.json").read_text().strip() == '{\n  "passed": true\n}'


@pytest.mark.parametrize(
    ("trained", "text", "how"),
    [
        ("train", f"Question: {ITEM} Answer:", "Jaccard 0.852"),
        (
            "train",
            f"Read this and answer it in a few words, please. Question: {ITEM} Now give your answer:",
            "100% of the question",
        ),
        ("train", " ANOTHER question", "the same question is in .*test.jsonl"),
        ("pretraining", ITEM.upper(), "the same question is in .*benchmark.jsonl"),
    ],
)
def test_what_is_evaluated_is_not_trained_on(files, record, trained, text, how):
    write_records(files / f"{trained}.jsonl", [record("fine", "a"), record(text, "a")])
    with pytest.raises(InputError, match=how):
        check(files)
    assert not (files / "verdict.json").exists()
