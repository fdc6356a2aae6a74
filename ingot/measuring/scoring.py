"""What the metrics of lm-evaluation-harness do not judge: code by its tests, function calls by their structure."""

import ast
import json
import re
from collections.abc import Callable
from typing import Any

from ingot.io.records import Record
from ingot.measuring.sandbox import run_python

BLOCK = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)


def code_in(answer: str) -> str:
    """Return the first block of code of an answer, or all of it where it has none."""
    block = BLOCK.search(answer)
    return block.group(1) if block else answer


def program_of(item: Record, answer: str) -> str:
    """Return the program that ends well if an answer to an item of HumanEval passes its tests."""
    code = code_in(answer)
    before, _, _ = item["prompt"].partition(f"def {item['entry_point']}(")
    # The whole function, as asked for, or only what comes after the prompt.
    whole = f"{before}\n{code}" if f"def {item['entry_point']}(" in code else item["prompt"] + code
    return f"{whole}\n\n{item['test']}\n\ncheck({item['entry_point']})\n"


def run_tests(item: Record, answer: str) -> bool:
    """Tell whether the code in an answer passes the tests of its item, in the sandbox."""
    return run_python(program_of(item, answer)).passed


def call_in(answer: str) -> tuple[str, dict[str, Any]] | None:
    """Return name and arguments of the only function call in an answer, as JSON or as Python, or None."""
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
    """Return name and keyword arguments of a Python call of literals, or None."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        tree = tree.elts[0] if isinstance(tree, ast.List) and len(tree.elts) == 1 else tree
        if not isinstance(tree, ast.Call) or tree.args:
            return None
        arguments = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in tree.keywords}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return ast.unparse(tree.func), arguments


def plain(value: Any) -> Any:
    """Return a value as it is compared: text without case, spaces and signs, as the leaderboard does."""
    if isinstance(value, str):
        return re.sub(r"[ ,./\-_*^]", "", value).lower().replace("'", '"')
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return value


def accepted(value: Any, allowed: list[Any]) -> bool:
    """Tell whether a value is one of those that are allowed; those of an object are lists of allowed ones again."""
    for one in allowed:
        if isinstance(one, dict) and isinstance(value, dict):
            if arguments_fit(value, one):
                return True
        elif isinstance(value, bool) == isinstance(one, bool) and plain(value) == plain(one):
            return True
    return False


def arguments_fit(given: dict[str, Any], allowed: dict[str, list[Any]]) -> bool:
    """Tell whether all arguments have allowed values, and only those lack that may ("" among what is allowed)."""
    known = all(name in allowed and accepted(value, allowed[name]) for name, value in given.items())
    return known and all(name in given or "" in values for name, values in allowed.items())


def compare_calls(item: Record, answer: str) -> bool:
    """Tell whether an answer is the call that an item accepts (`ground_truth`: [{name: {argument: [values]}}])."""
    found = call_in(answer)
    if found is None or len(item["ground_truth"]) != 1:
        return False
    ((name, allowed),) = item["ground_truth"][0].items()
    return found[0] == name and arguments_fit(found[1], allowed)


SCORERS: dict[str, Callable[[Record, str], bool]] = {"run_tests": run_tests, "compare_calls": compare_calls}
RUN_CODE = ("run_tests",)
"""Scorers that need the sandbox."""
