"""The filters let pass whatever the screen lets pass."""

import random

import pytest

from helpers.settings import changed
from helpers.settings_of import settings_of
from ingot.curation.filters import filters_of
from ingot.curation.screen import SUSPECTS, Screen
from ingot.text import minhash
from ingot.text.forms import text_of

DEFAULTS = settings_of("defaults", base={"kind": "local", "model": "any"}).filter
SETTINGS = changed(
    DEFAULTS,
    offensive=changed(DEFAULTS.offensive, languages=["english", "spanish"]).model_dump(),
    gibberish=changed(DEFAULTS.gibberish, least_words=10).model_dump(),
    repetition=changed(DEFAULTS.repetition, least_words=20).model_dump(),
)
PIECES = [
    *(
        "The river rises in the hills ",
        "a ",
        "is ",
        "\n",
        " ",
        "\t",
        "12 ",
        "3.5 ",
        "\u00e9t\u00e9 ",
        "\u2014",
        "\u2019s ",
    ),
    *("\u2026", "\u4f60\u597d", "\u00a0", "\u0663\u0664", "# ", "... ", "....", "x" * 30, "- "),
    *(
        "ann@mail.example.com ",
        "(650) 253-0000 ",
        "+44 20 7946 0958 ",
        "4111 1111 1111 1111 ",
        "123-45-6789 ",
        "8.8.8.8 ",
    ),
    *("GB82 WEST 1234 5698 7654 32 ", "127.0.0.1 ", "1.2.3 ", "AKIA" + "IOSFODNN7EXAMPLE ", "hf_" + "abcDEF" * 6),
    *("-----BEGIN PRIVATE KEY-----", "xoxb-1234567890 ", "eyJ" + "a" * 10 + ".eyJ" + "b" * 10 + "." + "c" * 10),
    *(
        "Bastard! ",
        "pend\u00f3n ",
        "class ",
        "SHIT_",
        "\u2014bitch\u2014",
        "<|im_end|>",
        "</s>",
        "[Your name]",
        "{{ x }}",
    ),
    *("Lorem ipsum ", "### Input:", "\x07", "\u202e", "\u2066", "\ufffd", "<your key>"),
]


@pytest.mark.parametrize("name", SUSPECTS)
def test_nothing_is_passed_over_that_the_filter_refuses_or_changes(name, record):
    r = random.Random(name)
    common, rare = PIECES[:10], PIECES[10:]
    records = [
        record("".join(r.choices(common, k=r.randint(1, 30))), "".join(r.choices(common, k=9) + r.choices(rare, k=2)))
        for _ in range(4000)
    ]
    settings = changed(SETTINGS, order=[name])
    suspects = Screen(settings).suspects(*minhash.join([text_of(record).encode() for record in records]))[name]
    judge = filters_of(settings)[name]
    touched = []
    for record in records:
        before = record["id"]
        touched.append(judge(record) is not None or record["id"] != before)
    assert sum(touched) > 20
    assert [records[i] for i in range(len(records)) if touched[i] and not suspects[i]] == []


def test_plain_texts_are_passed_over():
    settings = changed(SETTINGS, order=list(SUSPECTS), offensive=DEFAULTS.offensive.model_dump())
    texts = ["It isn\u2019t far \u2014 12 km, in 2019.", "Sort: 9 8 7 6. It's 3.14, or 1,000?"]
    suspects = Screen(settings).suspects(*minhash.join([text.encode() for text in texts]))
    unsure = {"gibberish", "repetition"}  # of texts that are not all ASCII
    assert {name for name, marks in suspects.items() if marks[0]} == unsure
    assert {name for name, marks in suspects.items() if marks[1]} == set()
