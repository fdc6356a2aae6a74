import pytest

from filter import apply, filter, format_filter, language_filter, length_filter, personal_filter
from lib.records import read_json, read_records, write_records


@pytest.fixture(scope="module")
def language():
    return language_filter("en", ["de", "es", "fr", "it", "ru"], 0.1)


def test_other_languages_are_dropped_and_named(language, record):
    german = record(
        "Erkläre bitte in einem kurzen Satz, warum der Himmel am Abend rot wird.",
        "Das Licht legt einen langen Weg zurück.",
    )
    assert language(german) == (False, "de")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Please explain in one short sentence why the evening sky turns red.", "The light travels a long way."),
        ("Portugal: name its capital, Yara.", "Lisbon"),
        ("As a one-line lambda: solve sums a list xs.", "solve = lambda xs: sum(xs)"),
        ("Uppercase the letters: r g d f t", "R G D F T"),
    ],
)
def test_english_code_and_short_texts_stay(language, record, question, answer):
    assert language(record(question, answer)) == (True, "")


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("Write to ann.smith+x@mail.example.com now", "e-mail address"),
        ("Call +44 20 7946 0958 please", "phone number"),
        ("Call (650) 253-0000 please", "phone number"),
    ],
)
def test_personal_data_is_found(record, text, evidence):
    assert personal_filter("US")(record(text, "ok")) == (False, evidence)


@pytest.mark.parametrize("text", ["Sort: 9 8 7 6 5 4 3 2 1", "What is 12345678 + 1?", "a @ b", "Remind me at 10:30"])
def test_numbers_and_signs_are_not_personal_data(record, text):
    assert personal_filter("US")(record(text, "ok")) == (True, "")


def test_format_filter_names_what_it_found(record):
    assert format_filter(record("bell \x07", "a")) == (False, "character U+0007")
    assert format_filter(record("code", "```python\nx = 1")) == (False, "code fence not closed")
    assert format_filter(record("code", "```python\nx = 1\n```\n\tdone")) == (True, "")


def test_length_counts_tokens_of_the_tokenizer(tokenizer, record):
    short = record("a", "b")
    judge = length_filter(tokenizer.backend_tokenizer, 2, 20)
    assert judge(short) == (True, "")
    assert short["metadata"]["tokens"] == len(tokenizer("a\nb")["input_ids"])
    assert judge(record("word " * 40, "b"))[0] is False


def test_a_record_falls_at_the_first_filter_that_refuses_it(record):
    bad = record("Mail a@b.example \x07", "x")
    kept, rejected = apply([bad, record("fine", "x")], {"format": format_filter, "personal": personal_filter("US")})
    assert len(kept) == 1
    assert [(r["reason"], r["record"]) for r in rejected] == [("format", bad)]


def test_the_step_accounts_for_every_record(tmp_path, tokenizer, record):
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    write_records(tmp_path / "in.jsonl", [record("What is 1 + 1?", "2"), record("Mail a@b.example", "x")])
    out = [tmp_path / name for name in ("kept.jsonl", "rejected.jsonl", "report.json")]
    filter(
        tmp_path / "in.jsonl",
        tmp_path / "tokenizer",
        *out,
        length={"least": 1, "most": 100},
        language={"wanted": "en", "known": ["de"], "doubt": 0.1},
        personal={"region": "US"},
    )
    assert [r["instruction"] for r in read_records(out[0])] == ["What is 1 + 1?"]
    assert read_json(out[2]) == {"read": 2, "kept": 1, "rejected": 1, "reasons": {"personal": 1}}
