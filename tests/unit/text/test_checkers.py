import pytest

from ingot.text.checkers import is_right

CASES = [
    ("text", "1 2  3\n", "1 2 3", True),
    ("text", "1 2 3.", "1 2 3", False),
    ("text", "", "x", False),
    ("number", "The answer is 1,234.0", "1234", True),
    ("number", "-7", "-7", True),
    ("number", "7 or 8", "7", False),
    ("number", "none", "7", False),
    ("json", '{"b": 2, "a": 1}', '{"a": 1, "b": 2}', True),
    ("json", '{"a": "1"}', '{"a": 1}', False),
    ("json", "{", "{}", False),
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


def test_an_unknown_checker_is_an_error():
    with pytest.raises(KeyError):
        is_right("vibes", "a", "a")
