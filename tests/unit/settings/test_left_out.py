"""Traces leave ingot/settings out, because its classes only check values. So no step may compute with what is there."""

import ast

from helpers.workspaces import ROOT
from traced.closure import closure

SETTINGS = ROOT / "ingot/settings"


def is_validator(function):
    return any(isinstance(node, ast.Call) and "validator" in ast.dump(node.func) for node in function.decorator_list)


def computed_in_settings():
    """The functions, methods and constants there, but for what pydantic calls itself."""
    functions, methods = set(), set()
    for file in SETTINGS.glob("*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                functions.add(node.name)
            elif isinstance(node, ast.Assign) and not isinstance(
                node.value, ast.Subscript | ast.BinOp
            ):  # names of types
                functions |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            elif isinstance(node, ast.ClassDef) and any("Section" in ast.dump(base) for base in node.bases):
                defined = [one for one in node.body if isinstance(one, ast.FunctionDef) and not is_validator(one)]
                methods |= {one.name for one in defined}
    return functions, methods


def test_steps_take_only_classes_and_values_from_the_settings():
    functions, methods = computed_in_settings()
    assert {"load", "GgufType"} & functions == {"load"}
    assert "counts_right_answers" in methods, "rules ask for it, and give a step what it says"
    taken = []
    for file in closure((ROOT / "workflow_scripts").rglob("*.py"), ROOT, without=SETTINGS):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ingot.settings"):
                taken += [(file.name, alias.name) for alias in node.names if alias.name in functions]
            if isinstance(node, ast.Attribute) and node.attr in methods:
                taken.append((file.name, node.attr))
    assert not taken
