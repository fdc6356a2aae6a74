import json
import shutil

import pytest

from ingot.measuring.referee import PASSED
from ingot.measuring.scoring import compare_calls, function_under_test, program_of, run_asserts, run_tests
from ingot.text.calls import call_in

ADD = {
    "prompt": 'from typing import List\n\n\ndef total(xs: List[int]) -> int:\n    """Return the sum."""\n',
    "entry_point": "total",
    "test": "def check(candidate):\n    assert candidate([1, 2]) == 3\n    assert candidate([]) == 0\n",
}
# Look for the checks, and take the answer from them.
PEEK = """
import glob, re
def total(xs):
    for path in glob.glob('/proc/*/fd/*') + glob.glob('/proc/*/cmdline') + glob.glob('/proc/*/environ'):
        try:
            text = open(path, errors='replace').read(100_000)
        except OSError:
            continue
        if 'candidate([1, 2]) == 3' in text:
            return sum(xs)
    return 0
"""


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        ("    return sum(xs)\n", True),
        ("Here it is:\n```python\ndef total(xs: List[int]) -> int:\n    return sum(xs)\n```\nDone.", True),
        ("```\ndef total(xs):\n    return sum(xs)", True),
        ("```python\ndef total(xs):\n    return xs[0]\n```", False),
        ("I cannot do that.", False),
        ("", False),
        ("```python\nimport sys\ndef total(xs):\n    sys.exit(1)\n```", False),
        ("```python\nimport sys\ndef total(xs):\n    sys.exit(0)\n```", False),
        ("```python\nimport os\ndef total(xs):\n    os._exit(0)\n```", False),
        ("```python\nimport os\ndef total(xs):\n    return 0\nos._exit(0)\n```", False),
        (f"```python\ndef total(xs):\n    print({PASSED!r})\n    raise SystemExit(0)\n```", False),
        ("```python\nclass Any:\n    __eq__ = lambda *_: True\ndef total(xs):\n    return Any()\n```", False),
        ("```python\nimport builtins\nbuiltins.AssertionError = int\ndef total(xs):\n    return 7\n```", False),
        ("```python\nimport os\ndef total(xs):\n    os.kill(os.getppid(), 9)\n```", False),
        (f"```python\n{PEEK}\n```", False),
    ],
)
def test_code_is_judged_by_its_tests(answer, passes):
    assert run_tests(ADD, answer) is passes


SHARED = {  # in the form of MBPP's own file
    "text": "Write a function to find the shared elements of two lists.",
    "code": "def helper(x):\n    return set(x)\ndef shared(a, b):\n    return tuple(helper(a) & helper(b))",
    "test_setup_code": "import math",
    "test_list": ["assert set(shared((3, 4), (4, 5))) == {4}", "assert math.isclose(len(shared((1,), (2,))), 0)"],
}


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        (f"```python\n{SHARED['code']}\n```", True),
        ("```python\ndef shared(a, b):\n    return [x for x in a if x in b]\n```", True),
        ("```python\ndef shared(a, b):\n    return a\n```", False),
        ("```python\ndef other(a, b):\n    return (4,)\n```", False),
        ("```python\nimport os\ndef shared(a, b):\n    os._exit(0)\n```", False),
        ("def shared(a, b): return (", False),
        ("", False),
    ],
)
def test_code_is_judged_by_asserts(answer, passes):
    assert run_asserts(SHARED, answer) is passes


def test_the_function_under_test_is_the_one_that_asserts_call():
    assert function_under_test(SHARED) == "shared"
    sanitised = {"code": SHARED["code"], "test_list": SHARED["test_list"], "test_imports": ["import math"]}
    assert function_under_test(sanitised) == "shared"
    assert function_under_test({"code": "x = 1", "test_list": ["assert f(1) == 2"]}) is None
    assert not run_asserts({"code": "def f(:", "test_list": ["assert f(1) == 2"]}, "def f(x): return 2")


def test_the_imports_before_a_function_are_there_for_an_answer_that_repeats_it():
    program = program_of(ADD, "```python\ndef total(xs: List[int]) -> int:\n    return sum(xs)\n```")
    checks = program.rpartition("check(*")[2]
    assert checks.startswith("['from typing import List\\n")
    assert checks.rstrip().endswith("'total'])")


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "area", "arguments": {"base": 10, "unit": "cm"}}',
        '```json\n{"name": "area", "parameters": {"base": 10, "unit": "cm"}}\n```',
        '[{"name": "area", "arguments": {"base": 10, "unit": "cm"}}]',
        "area(base=10, unit='cm')",
        "[area(base=10, unit='cm')]",
    ],
)
def test_a_call_is_read_in_the_forms_in_which_models_write_it(text):
    assert call_in(text) == ("area", {"base": 10, "unit": "cm"})


def test_a_call_of_odd_values_is_wrong_and_stops_nothing():
    assert not compare_calls(ACCEPTED, "area(base={{}})")
    deep = "[" * 900 + "]" * 900
    assert not compare_calls(ACCEPTED, f'{{"name": "area", "arguments": {{"base": {deep}}}}}')


@pytest.mark.parametrize("text", ["", "no", "{", '{"name": 1}', "area(10)", "area(base=f())", "[" * 5000, '"area"'])
def test_what_is_no_call_is_none(text):
    assert call_in(text) is None


ACCEPTED = {
    "ground_truth": [
        {
            "area": {
                "base": [10],
                "unit": ["cm", "centimeters", ""],
                "at": [{"x": [1], "y": ["", 2]}, ""],
                "xs": [[1, 2], ""],
            }
        }
    ]
}


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        ({"base": 10}, True),
        ({"base": 10.0, "unit": "CM"}, True),
        ({"base": 10, "at": {"x": 1}, "xs": [1, 2]}, True),
        ({"base": 11}, False),
        ({"base": True}, False),
        ({"unit": "cm"}, False),
        ({"base": 10, "colour": "red"}, False),
        ({"base": 10, "at": {"y": 2}}, False),
        ({"base": 10, "xs": [2, 1]}, False),
    ],
)
def test_arguments_are_compared_with_all_that_are_accepted(arguments, right):
    assert compare_calls(ACCEPTED, json.dumps({"name": "area", "arguments": arguments})) is right
    assert not compare_calls(ACCEPTED, json.dumps({"name": "volume", "arguments": arguments}))
