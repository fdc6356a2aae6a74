import json
from typing import get_args

import pytest

from helpers.curation import results, three
from helpers.settings import changed
from helpers.settings_of import settings_of
from ingot.curation.filters import Refusal, filters_of
from ingot.io.records import write_records
from ingot.settings.filters import FilterName
from ingot.text.chat import marks_of
from ingot.world.flaws import FOREIGN
from workflow_scripts.data.filter import filter

SETTINGS = settings_of("defaults", base={"kind": "local", "model": "any"}).filter
PROSE = (
    "The river rises in the hills above the town and runs past two old mills before it turns to the south, where the"
    " land is flat. In spring the water often covers the lower fields, and people who live there move their animals to"
    " the barns on the ridge until the ground has dried. A bridge of stone was built some two hundred years ago."
)


def make(name, **settings):
    """The filter of a name, with the settings of the defaults but for those given."""
    section = {name: getattr(SETTINGS, name).model_dump() | settings} if settings else {}
    return filters_of(changed(SETTINGS, order=[name], **section))[name]


@pytest.fixture(scope="module")
def language():
    return make("language")


def test_there_is_a_filter_for_every_name():
    assert list(filters_of(changed(SETTINGS, order=list(get_args(FilterName))))) == list(get_args(FilterName))


@pytest.mark.parametrize(("code", "pair"), [(code, pair) for code, pairs in FOREIGN.items() for pair in pairs])
def test_every_planted_language_is_found_and_named(language, record, code, pair):
    assert language(record(pair[0].format(n=7), pair[1])).reason == code


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Please explain in one short sentence why the evening sky turns red.", "The light travels a long way."),
        ("Portugal: name its capital, Yara.", "Lisbon"),
        ("As a one-line lambda: solve sums a list xs.", "solve = lambda xs: sum(xs)"),
        ("Uppercase the letters: r g d f t", "R G D F T"),
        ("Sort a list.", "```python\n" + "for eintrag in alle_werte_der_liste:\n    ausgabe(eintrag)\n" * 9 + "```"),
    ],
)
def test_english_code_and_short_texts_stay(language, record, question, answer):
    assert language(record(question, answer)) is None


def test_no_record_of_the_tiny_world_is_taken_for_another_language(language):
    import itertools

    from ingot.world import tasks

    shares = {domain: {k: 1.0 for k in ("easy", "medium", "hard") if tasks.has(domain, k)} for domain in tasks.DOMAINS}
    records = [vars(task) for task in itertools.islice(tasks.tasks(5, shares, 0, 1, unique=True), 3000)]
    assert [record for record in records if language(record)] == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Write to ann.smith+x@mail.example.com now", "e-mail_address"),
        ("Call +44 20 7946 0958 please", "phone_number"),
        ("Call (650) 253-0000 please", "phone_number"),
        ("Pay with 4111 1111 1111 1111 today", "card_number"),
        ("To DE89 3704 0044 0532 0130 00 please", "account_number"),
        ("His number is 123-45-6789.", "social_security_number"),
        ("The server 8.8.8.8 answers", "IP_address"),
    ],
)
def test_personal_data_is_found(record, text, reason):
    drop = make("personal")
    assert drop(record(text, "ok")).reason == reason
    assert drop(record("ok", text)).reason == reason


@pytest.mark.parametrize(
    "text",
    [
        "Sort: 9 8 7 6 5 4 3 2 1",
        "What is 12345678 + 1?",
        "a @ b",
        "Remind me at 10:30",
        "It cost $1,234,567.89 in 2019.",
        "127.0.0.1 and 192.168.0.1 are local",
        "4111 1111 1111 1112 is not a card",
        "3.14159265358979 is pi",
    ],
)
def test_numbers_and_signs_are_not_personal_data(record, text):
    assert make("personal")(record(text, "ok")) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("AKIA" + "IOSFODNN7EXAMPLE", "AWS_key"),
        ("ghp_" + "a1B2" * 9, "GitHub_token"),
        ("hf_" + "abcDEF" * 6, "Hugging_Face_token"),
        ("sk-proj-" + "a1B2c3" * 5, "API_key"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "private_key"),
    ],
)
def test_secrets_are_found(record, text, reason):
    assert make("secrets")(record(f"Use {text} here", "ok")).reason == reason


def test_masking_keeps_the_record_without_what_it_hides(record):
    masked = record("Write to ann@mail.example.com or +44 20 7946 0958.", "I wrote to ann@mail.example.com.")
    before = masked["id"]
    assert make("personal", action="mask")(masked) is None
    assert masked["instruction"] == "Write to [e-mail address] or [phone number]."
    assert masked["response"] == "I wrote to [e-mail address]."
    assert masked["metadata"]["original_id"] == before != masked["id"]


def test_the_special_tokens_of_the_tokenizer_at_hand_are_leftovers(tokenizer, record):
    from tokenizers import Tokenizer

    of_texts = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    assert marks_of(of_texts) == []
    of_texts.add_special_tokens(["<repo_name>", "<file_sep>"])
    assert marks_of(of_texts) == ["<repo_name>", "<file_sep>"]
    judge = filters_of(changed(SETTINGS, order=["leftovers"]), marks_of(of_texts))["leftovers"]
    assert judge(record("q", "see <file_sep>main.py")) == ("template", "<file_sep>")
    assert judge(record("q", "see <file_name>")) is None
    cut = changed(SETTINGS, order=["leftovers"], leftovers={"ending": "cut"})
    ended = record("q", "it is so. <file_sep>")
    assert filters_of(cut, marks_of(of_texts))["leftovers"](ended) is None
    assert ended["response"] == "it is so."


@pytest.mark.parametrize(
    ("name", "question", "answer", "reason"),
    [
        ("characters", "bell \x07", "a", "control_character"),
        ("characters", "a", "\u202egnihton", "control_character"),
        ("fences", "code", "```python\nx = 1", "fence_not_closed"),
        ("fences", "code", "```python\nx = = 1\n```", "code_does_not_parse"),
        ("fences", "code", '```json\n{"a": }\n```', "code_does_not_parse"),
        ("leftovers", "a", "Dear [Your Name], hello", "template"),
        ("leftovers", "<|im_start|>user", "a", "template"),
        ("leftovers", "{{ question }}", "a", "template"),
        ("leftovers", "q", "a<|reserved_special_token_0|>b", "template"),
        ("leftovers", "q", "<start_of_turn>model", "template"),
        ("leftovers", "q", "a <\uff5cUser\uff5c> b", "template"),
        ("leftovers", "q", "[AVAILABLE_TOOLS] []", "template"),
        ("leftovers", "<<SYS>> be nice", "a", "template"),
        ("leftovers", "q", "a<bos>b", "template"),
        ("refusals", "a", "I'm sorry, but I can't assist with that.", "declines"),
        ("refusals", "a", "As an AI language model, I have no body.", "declines"),
    ],
)
def test_what_is_broken_is_refused(record, name, question, answer, reason):
    assert make(name)(record(question, answer)).reason == reason


@pytest.mark.parametrize(
    ("name", "question", "answer"),
    [
        ("characters", "a\tb\n", "caf\u00e9 \U0001f600 \u05e9\u05dc\u05d5\u05dd a\u200db"),
        ("fences", "code", "```python\nx = 1\n```\n\tdone"),
        ("fences", "code", "```\nanything = = \n```"),
        ("leftovers", "What is f'{x}'?", 'It prints {x}, and {"a": 1} is JSON. items[your_index]'),
        ("refusals", "How do I say it politely?", "You can say: I'm sorry, but I can't come."),
    ],
)
def test_what_is_whole_is_kept(record, name, question, answer):
    assert make(name)(record(question, answer)) is None


def test_tokens_that_end_an_answer_are_cut_off(record):
    dumped = record("What is it?", "It is a river.<|endoftext|>\n")
    before = dumped["id"]
    assert make("leftovers", ending="drop")(dumped).reason == "template"
    assert make("leftovers", ending="cut")(dumped) is None
    assert dumped["response"] == "It is a river."
    assert dumped["metadata"]["original_id"] == before != dumped["id"]
    assert make("leftovers", ending="cut")(record("q", "<|endoftext|>")).reason == "template"


def test_offensive_words_count_each_once_and_can_be_tolerated(record):
    rude = record("You bastard, you bastard", "fine")
    assert make("offensive")(rude) == Refusal("offensive_words", "bastard")
    assert make("offensive", most=1)(rude) is None
    assert make("offensive", tolerated=["bastard"])(rude) is None
    assert make("offensive")(record("A class in Scunthorpe", "fine")) is None


def test_repetition_is_measured_on_long_answers_only(record):
    refuses = make("repetition", least_words=50)
    assert refuses(record("q", PROSE)) is None
    assert refuses(record("q", "river " * 40)) is None
    assert refuses(record("q", "the same thing again and " * 20)).reason == "repeats_itself"
    assert refuses(record("q", PROSE + " " + PROSE)).evidence.startswith("repeated_5")
    assert refuses(record("q", "\n".join([PROSE[:60]] * 3 + [PROSE]))).evidence.startswith("lines")


def test_the_measures_of_repetition_are_those_of_the_paper():
    from ingot.curation.repetition import repeated_lines, repetition

    words = "a bb a bb ccc a bb".split()  # 12 characters; "a bb" three times with 9 of them
    assert repetition(words)["top_2"] == pytest.approx(9 / 12)
    sentence = [f"w{i}" for i in range(5)]
    assert repetition([*sentence, "x", *sentence])["repeated_5"] == pytest.approx(10 / 21)
    assert repeated_lines("ab\ncd\nab\n")["lines"] == pytest.approx(1 / 3)


def test_gibberish_is_refused(record):
    refuses = make("gibberish")
    assert refuses(record("q", PROSE)) is None
    assert refuses(record("q", "xkcdqwertzuiopasdfghjkl " * 60)).reason == "word_length"
    assert refuses(record("q", "12 34 56 78 word " * 20)).reason == "few_letters"
    assert refuses(record("q", "#tag word ... " * 30)).reason == "symbols"


def test_the_first_filter_that_refuses_decides(tmp_path, tokenizer, record):
    _, rejected, _ = run(tmp_path, tokenizer, [record("Mail a@b.example \x07", "x")], order=("characters", "personal"))
    assert (rejected[0]["filter"], rejected[0]["reason"]) == ("characters", "control_character")


def run(tmp_path, tokenizer, records, appeals=(), order=("length", "personal")):
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    write_records(tmp_path / "in.jsonl", records)
    settings = changed(SETTINGS, order=list(order), appeals=list(appeals), length={"least": 1, "most": 20})
    paths = three(tmp_path, "filtered")
    filter(tmp_path / "in.jsonl", tmp_path / "tokenizer", *paths, settings=settings)
    return results(paths)


def test_the_step_counts_tokens_and_names_filter_and_evidence(tmp_path, tokenizer, record):
    bad, long, good = record("Mail a@b.example", "x"), record("word " * 40, "b"), record("What is 1 + 1?", "2")
    kept, rejected, report = run(tmp_path, tokenizer, [bad, long, good])
    assert [r["id"] for r in kept] == [good["id"]]
    assert kept[0]["metadata"]["tokens"] == len(tokenizer("What is 1 + 1?\n2")["input_ids"])
    reasons = {r["id"]: (r["filter"], r["reason"], r["evidence"]) for r in rejected}
    assert reasons[bad["id"]] == ("personal", "e-mail_address", "1 found")
    assert reasons[long["id"]][:2] == ("length", "too_long")
    assert report["after"]["tokens"] == kept[0]["metadata"]["tokens"]


def test_a_dropped_record_can_be_appealed_by_its_id(tmp_path, tokenizer, record):
    bad = record("Mail a@b.example", "x")
    _, rejected, _ = run(tmp_path, tokenizer, [bad])
    kept, _, report = run(tmp_path, tokenizer, [bad], appeals=[rejected[0]["id"]])
    assert json.dumps(kept[0]["instruction"]) == json.dumps(bad["instruction"])
    assert report["appealed"] == [bad["id"]]
