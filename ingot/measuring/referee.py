"""Check code that a model wrote, from outside of it. This file runs in the sandbox, as text: it imports nothing of us.

The code runs in another sandbox, which gets arguments and gives back results. The checks run here. So code that ends
its process, prints what it likes, looks for the checks or replaces what they would use, has passed nothing.
"""

import ast
import os
import sys
from typing import Any

PASSED = "all checks have passed"
# What runs in the other sandbox. It keeps its first input and output for us: what the code prints goes nowhere.
PLAYER = """
import os
questions, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
null = os.open(os.devnull, os.O_RDWR)
os.dup2(null, 0), os.dup2(null, 1), os.dup2(null, 2)
import ast
code, name = ast.literal_eval(questions.readline())
names = {"__name__": "player"}
exec(compile(code, "answer", "exec"), names)
for line in questions:
    try:
        result = ("returned", names[name](*ast.literal_eval(line)))
    except Exception as error:
        result = ("raised", type(error).__name__)
    print(repr(result), file=answers, flush=True)
"""


class Player:
    """The function under test, in its sandbox. A call gives back what it returned, if that is made of literals."""

    def __init__(self, code: str, name: str, ask: int, answers: int) -> None:
        self.ask, self.answers = os.fdopen(ask, "w"), os.fdopen(answers)
        self.say((code, name))

    def say(self, value: Any) -> None:
        """Send a value, as one line."""
        self.ask.write(repr(value) + "\n")
        self.ask.flush()

    def __call__(self, *arguments: Any) -> Any:
        """Call the function. AssertionError if it raised something or if its process has ended."""
        self.say(arguments)
        line = self.answers.readline()
        assert line, "the code has ended its process"
        how, value = ast.literal_eval(line)
        assert how == "returned", value
        return value


def check(before: str, code: str, test: str, name: str) -> None:
    """Run the checks of `test`, which may use what stands `before` the function, on the function `name` of `code`.

    The last line that is printed is PASSED if no check has failed.
    """
    names: dict[str, Any] = {"__name__": "referee"}
    exec(compile(before + "\n" + test, "checks", "exec"), names)  # noqa: S102  (checks of the suite)
    player = Player(code, name, *map(int, sys.argv[1:]))
    names[name] = player
    names["check"](player)
    sys.stdout.write(f"\n{PASSED}\n")
    sys.stdout.flush()
    os._exit(0)
