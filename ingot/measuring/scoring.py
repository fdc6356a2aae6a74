"""Score answers where lm-evaluation-harness has no metric: code by its tests, function calls by their parts."""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ingot.io.records import Record
from ingot.measuring import referee
from ingot.measuring.sandbox import run_python

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
    arguments = [before, whole, item["test"], name]
    return f"{Path(referee.__file__).read_text(encoding='utf-8')}\n\ncheck(*{arguments!r})\n"


def run_tests(item: Record, answer: str) -> bool:
    """Run the tests of an item on the code in an answer, in the sandbox, and tell whether it passes them.

    The exit status is no evidence, because the code could end the process itself.
    """
    outcome = run_python(program_of(item, answer), player=referee.PLAYER)
    return outcome.status == 0 and outcome.output.endswith(f"\n{referee.PASSED}\n")


def call_in(answer: str) -> tuple[str, dict[str, Any]] | None:
    """Read an answer that is one function call, in JSON or in Python: (name, arguments), or None if it is not one."""
    text = re.sub(r"^```\w*|```$", "", answer.strip()).strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return python_call(text)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    arguments = value.get("arguments", value.get("parameters", {}))
    return (value["name"], arguments) if isinstance(arguments, dict) else None


def python_call(text: str) -> tuple[str, dict[str, Any]] | None:
    """Read a Python call whose arguments are keywords and literals: (name, arguments), or None if it is not one."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        tree = tree.elts[0] if isinstance(tree, ast.List) and len(tree.elts) == 1 else tree
        if not isinstance(tree, ast.Call) or tree.args:
            return None
        arguments = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in tree.keywords}
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    return ast.unparse(tree.func), arguments


def plain(value: Any) -> Any:
    """Make a value ready for comparison: texts lose case, spaces and signs, as on the Berkeley leaderboard."""
    if isinstance(value, str):
        return re.sub(r"[ ,./\-_*^]", "", value).lower().replace("'", '"')
    if isinstance(value, list | tuple):
        return [plain(element) for element in value]
    if isinstance(value, dict):
        return {key: plain(element) for key, element in value.items()}
    return value


def accepted(value: Any, allowed: list[Any]) -> bool:
    """Tell whether a value is among the allowed ones. An allowed object lists the allowed values of each key."""
    for candidate in allowed:
        if isinstance(candidate, dict) and isinstance(value, dict):
            if arguments_fit(value, candidate):
                return True
        elif isinstance(value, bool) == isinstance(candidate, bool) and plain(value) == plain(candidate):
            return True
    return False


def arguments_fit(given: dict[str, Any], allowed: dict[str, list[Any]]) -> bool:
    """Tell whether every argument has an allowed value, and every missing argument may be missing.

    An argument may be missing if "" is among its allowed values.
    """
    values_fit = all(name in allowed and accepted(value, allowed[name]) for name, value in given.items())
    return values_fit and all(name in given or "" in values for name, values in allowed.items())


def compare_calls(item: Record, answer: str) -> bool:
    """Tell whether an answer is the call that an item accepts.

    The item says so in `ground_truth`: [{name of the function: {argument: [allowed values]}}].
    """
    call = call_in(answer)
    if call is None or len(item["ground_truth"]) != 1:
        return False
    ((name, allowed),) = item["ground_truth"][0].items()
    try:
        return call[0] == name and arguments_fit(call[1], allowed)
    except RecursionError:  # a value nested a thousand deep
        return False


SCORERS: dict[str, Callable[[Record, str], bool]] = {"run_tests": run_tests, "compare_calls": compare_calls}
RUN_CODE = ("run_tests",)
"""These scorers need the sandbox."""
