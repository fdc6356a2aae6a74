"""Score answers where lm-evaluation-harness has no metric: code by its tests, function calls by their parts."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

from ingot.io.records import Record
from ingot.measuring import referee
from ingot.measuring.sandbox import run_python
from ingot.text.calls import accepts

BLOCK = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)


def code_in(answer: str) -> str:
    """Take the first block of code from an answer, or the whole answer if it has no block."""
    block = BLOCK.search(answer)
    return block.group(1) if block else answer


def program_of(item: Record, answer: str) -> str:
    """Make a program that says at its end that the answer to an item of HumanEval has passed its tests."""
    code = code_in(answer)
    name = item["entry_point"]
    before, _, _ = item["prompt"].partition(f"def {name}(")
    # An answer is the whole function, as asked for, or only what comes after the prompt.
    whole = f"{before}\n{code}" if f"def {name}(" in code else item["prompt"] + code
    return refereed(before, whole, item["test"], name)


def refereed(before: str, code: str, test: str, name: str) -> str:
    """Make the program that checks the function `name` of `code`: see ingot.measuring.referee."""
    return f"{Path(referee.__file__).read_text(encoding='utf-8')}\n\ncheck(*{[before, code, test, name]!r})\n"


def passes(program: str) -> bool:
    """Run a program that checks code, in the sandbox, and tell whether all its checks have passed.

    The exit status is no evidence, because the code could end the process itself.
    """
    outcome = run_python(program, player=referee.PLAYER)
    return outcome.status == 0 and outcome.output.endswith(f"\n{referee.PASSED}\n")


def run_tests(item: Record, answer: str) -> bool:
    """Tell whether the code in an answer passes the tests of an item of HumanEval."""
    return passes(program_of(item, answer))


def function_under_test(item: Record) -> str | None:
    """Find the function that the asserts of an item of MBPP call: one that its reference solution defines."""
    try:
        solution = ast.parse(item["code"]).body
        asserts = [node for line in item["test_list"] for node in ast.walk(ast.parse(line))]
    except (SyntaxError, ValueError):
        return None
    defined = {node.name for node in solution if isinstance(node, ast.FunctionDef)}
    called = [node.func.id for node in asserts if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return next((name for name in called if name in defined), None)


def run_asserts(item: Record, answer: str) -> bool:
    """Tell whether the code in an answer passes the asserts of an item of MBPP.

    Arguments and results must be Python literals. A few items of MBPP pass objects of their own, and count as failed.
    """
    name = function_under_test(item)
    if name is None:
        return False
    setup = "\n".join([item.get("test_setup_code") or "", *(item.get("test_imports") or [])])
    test = "\n".join([setup, "def check(_):", *(f"    {line}" for line in item["test_list"])])
    return passes(refereed(setup, code_in(answer), test, name))


def compare_calls(item: Record, answer: str) -> bool:
    """Tell whether an answer is the call that an item accepts.

    The item says so in `ground_truth`: [{name of the function: {argument: [allowed values]}}].
    """
    return accepts(item["ground_truth"], answer)


SCORERS: dict[str, Callable[[Record, str], bool]] = {
    "run_tests": run_tests,
    "run_asserts": run_asserts,
    "compare_calls": compare_calls,
}
RUN_CODE = ("run_tests", "run_asserts")
"""These scorers need the sandbox."""
