"""Read and compare function calls, as the Berkeley Function-Calling Leaderboard does (Patil et al. 2024)."""

import ast
import json
import re
from typing import Any

Accepted = list[dict[str, dict[str, list[Any]]]]
"""What is accepted: [{name of the function: {argument: [allowed values]}}]."""

# As suites/function_calls.yaml asks.
CALL_WANTED = 'Answer with nothing but the call that is needed, as JSON: {"name": ..., "arguments": {...}}'


def call_prompt(functions: Any, question: Any) -> str:
    """Ask for the call of a function that a question needs, in the words of training, measuring and serving."""
    shown = json.dumps(functions, ensure_ascii=False)
    return f"These functions can be called:\n{shown}\n\n{question}\n\n{CALL_WANTED}"


def unfenced(answer: str) -> str:
    """Take an answer out of the fence of a block of code, if it is in one."""
    return re.sub(r"^```\w*|```$", "", answer.strip()).strip()


def call_in(answer: str) -> tuple[str, dict[str, Any]] | None:
    """Read an answer that is one function call, in JSON or in Python: (name, arguments), or None if it is not one."""
    text = unfenced(answer)
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
        return ast.unparse(tree.func), arguments
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None


def plain(value: Any) -> Any:
    """Make a value ready for comparison: texts lose case, spaces and signs, as on the Berkeley leaderboard."""
    if isinstance(value, str):
        return re.sub(r"[ ,./\-_*^]", "", value).lower().replace("'", '"')
    if isinstance(value, list | tuple):
        return [plain(element) for element in value]
    if isinstance(value, dict):
        return {key: plain(element) for key, element in value.items()}
    return value


def allowed_value(value: Any, allowed: list[Any]) -> bool:
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
    values_fit = all(name in allowed and allowed_value(value, allowed[name]) for name, value in given.items())
    return values_fit and all(name in given or "" in values for name, values in allowed.items())


def accepts(accepted: Accepted, answer: str) -> bool:
    """Tell whether an answer is the one call that is accepted."""
    try:
        call = call_in(answer)
        if call is None or len(accepted) != 1:
            return False
        ((name, allowed),) = accepted[0].items()
        return call[0] == name and arguments_fit(call[1], allowed)
    except (TypeError, RecursionError):  # a value nested a thousand deep, or where an object stands for a list
        return False


def first_accepted(accepted: Any) -> str | None:
    """Write a call that is accepted, as JSON: every argument that must be there, with its first value.

    None if there is not just one function, or not in this form.
    """
    try:
        (only,) = accepted
        ((name, allowed),) = only.items()
        return json.dumps({"name": name, "arguments": first_values(allowed)}, ensure_ascii=False)
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return None


def first_values(allowed: Any) -> dict[str, Any]:
    """Take the first of the allowed values of each argument that must be there. TypeError if they are in another form.

    An allowed object lists the allowed values of each of its keys. Lists of such objects are not known here.
    """
    taken = {}
    for key, values in allowed.items():
        if not isinstance(values, list) or any(isinstance(value, list) and has_objects(value) for value in values):
            raise TypeError(key)
        chosen = [first_values(value) if isinstance(value, dict) else value for value in values]  # looks at all
        if "" not in values:
            taken[key] = chosen[0]
    return taken


def has_objects(values: list[Any]) -> bool:
    """Tell whether there is an object in a list, at any depth."""
    return any(isinstance(value, dict) or (isinstance(value, list) and has_objects(value)) for value in values)
