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


def check(files, right=True, opened=False, domains=()):
    paths = {name: files / f"{name}.jsonl" for name in ("train", "pretraining", "benchmark", "test")}
    lists = {"trained": [paths["train"]], "pretrained": [paths["pretraining"]], "benchmarks": [paths["benchmark"]]}
    lists |= {"test": paths["test"], "benchmark": paths["benchmark"], "verdict": files / "verdict.json"}
    told = {"settings": DECONTAMINATE, "right_answers": right, "open_answers": opened}
    gate_data(**lists, **told, domains=list(domains))


def test_the_gate_is_open_where_nothing_is_repeated(files):
    check(files)
    assert (files / "verdict.json").read_text().strip() == '{\n  "passed": true\n}'


def test_gates_on_right_answers_need_questions_whose_answers_can_be_checked(files, record):
    tale = record("Tell a tale.", "Once upon a time.")
    tale["metadata"]["checker"] = "open"
    write_records(files / "benchmark.jsonl", [tale, tale])
    with pytest.raises(InputError, match=r"benchmark\.jsonl: no checker can tell .* `max_open_loss`"):
        check(files)
    check(files, right=False, opened=True)
    assert (files / "verdict.json").exists()


def test_gates_on_open_answers_need_open_questions(files):
    with pytest.raises(InputError, match=r"benchmark\.jsonl: none of its questions is open"):
        check(files, opened=True)


def test_a_domain_with_a_modifier_needs_questions_whose_answers_can_be_checked(files, record):
    check(files, domains=["code"])
    with pytest.raises(InputError, match=r"of domain math and has .*could not be judged; its domains are \['code'\]"):
        check(files, domains=["code", "math"])
    tale = record("Tell a tale.", "Once upon a time.", checker="open")
    write_records(files / "benchmark.jsonl", [tale])
    with pytest.raises(InputError, match="of domain code and has"):
        check(files, right=False, domains=["code"])


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
