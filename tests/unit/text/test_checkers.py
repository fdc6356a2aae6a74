import pytest

from ingot.text.checkers import CHECKERS, implied, is_right, letter_in, number_in

CASES = [
    ("text", "1 2  3\n", "1 2 3", True),
    ("text", "1 2 3.", "1 2 3", False),
    ("text", "", "x", False),
    ("number", "The answer is 1,234.0", "1234", True),
    ("number", "-7", "-7", True),
    ("number", "7 or 8", "8", True),  # the last one counts, as in the field
    ("number", "2 + 5 = 7. So the answer is 7.", "1 + 6 = 7\n#### 7", True),
    ("number", "#### 7\nI checked it 2 times.", "7", True),
    ("number", "It costs $1,234.50 in all", "#### 1234.5", True),
    ("number", "It is 5", "about five", False),
    ("choice", "(B)", "(B)", True),
    ("choice", "B", "(B)", True),
    ("choice", "B. Paris", "(B)", True),
    ("choice", "The answer is (B) black ball.", "(B)", True),
    ("choice", "the answer is b", "(B)", True),
    ("choice", "(A) is red, (C) is blue. So the answer is (B).", "(B)", True),
    ("choice", "(C) blue present", "(B)", False),
    ("choice", "(A) or (B)", "(B)", False),
    ("choice", "A black ball", "(A)", False),
    ("choice", "I do not know", "(B)", False),
    ("phrase", "The answer is: Paris.", "paris", True),
    ("phrase", "the Eiffel Tower!", "Eiffel tower", True),
    ("phrase", "True", "true", True),
    ("phrase", "not true", "true", False),
    ("phrase", "...", "!!!", False),
    ("number", "none", "7", False),
    ("json", '{"b": 2, "a": 1}', '{"a": 1, "b": 2}', True),
    ("json", '{"a": "1"}', '{"a": 1}', False),
    ("json", "{", "{}", False),
    ("json", '```json\n{"a": 1}\n```', '{"a": 1}', True),
    ("json", "[" * 100_000, "[]", False),
    ("python", "def f(a):\n  return a+1  # add", "def f(a):\n    return a + 1", True),
    ("python", "def f(a):\n    return 1 + a", "def f(a):\n    return a + 1", False),
    ("python", "def f(a) return", "def f(a):\n    return a", False),
    ("python", "(" * 100_000, "x", False),
    ("python", "\x00", "x", False),
]


@pytest.mark.parametrize(("checker", "answer", "reference", "right"), CASES)
def test_checkers(checker, answer, reference, right):
    assert is_right(checker, answer, reference) is right


def test_punctuation_of_other_scripts_does_not_count():
    assert is_right("phrase", "东京。", "东京")
    assert is_right("phrase", "«Paris»", "Paris")
    assert not is_right("phrase", "กา", "ก"), "a vowel sign is no punctuation"


def test_an_unknown_checker_is_an_error():
    with pytest.raises(KeyError):
        is_right("vibes", "a", "a")


def test_what_is_open_is_neither_right_nor_wrong():
    assert is_right("open", "anything", "a poem") is None


@pytest.mark.parametrize(
    ("question", "response", "checker"),
    [
        ("How many?", "3 + 4 = <<3+4=7>>7\n#### 7", "number"),
        ("How many?", "1,234", "number"),
        ("How much?", "$5.50", "number"),
        ("Which?\nOptions:\n(A) red\n(B) blue", "(B)", "choice"),
        ("Which?\nA. red\nB. blue", "B", "choice"),
        ("Call a tool.", '{"name": "get", "arguments": {"id": 7}}', "json"),
        ("Is it?", "True", "phrase"),
        ("Who?", "Ada Lovelace", "phrase"),
        ("Explain it.", "It works because the sun is warm, and water rises.", "open"),
        ("List them.", "one\ntwo", "open"),
        ("首都是哪里？", "东京", "phrase"),
        ("首都はどこですか。", "東京タワー", "phrase"),
        ("解释一下。", "因为太阳很温暖，水就会上升。", "open"),
        ("อธิบาย", "เพราะดวงอาทิตย์อบอุ่นน้ำจึงลอยขึ้น", "open"),
        ("What?", "...", "open"),
    ],
)
def test_the_shape_of_an_answer_implies_its_checker(question, response, checker):
    assert implied(question, response) == checker
    if checker != "open":
        assert CHECKERS[checker](response, response), "an answer equals itself"


TEXTS = (
    "He has 3 apples and buys 4, so 3 + 4 = 7 apples.\n#### 7", "The total is 1,250 dollars.", "#### 12",
    "In 2 days he earns 2 * 18 = 36 dollars", "So it is -5 degrees.", "48/2 = 24 clips in May and 72 altogether",
)  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_numbers_are_found_as_the_harness_finds_them_in_gsm8k(text):
    """lm-evaluation-harness's `strict-match` where the text has ####, and else its `flexible-extract`."""
    from lm_eval.filters.extraction import RegexFilter

    strict = RegexFilter(r"#### (\-?[0-9\.\,]+)").apply([[text]], [{}])[0][0]
    flexible = RegexFilter(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", group_select=-1).apply([[text]], [{}])[0][0]
    found = strict if strict != "[invalid]" else flexible
    assert number_in(text) == float(found.strip("$.,").replace(",", "").replace("$", ""))


@pytest.mark.parametrize(
    "text",
    [
        "(B)",
        "(C) blue present",
        "Let's think. The answer is (D).",
        "So the answer is (A) red ball.",
        "The answer is: (E)",
    ],
)
def test_options_are_found_as_the_harness_finds_them_in_bbh(text):
    from lm_eval.filters.extraction import RegexFilter

    found = RegexFilter(r"(\([A-Z]\))", group_select=0).apply([[text]], [{}])[0][0]
    assert f"({letter_in(text)})" == found
