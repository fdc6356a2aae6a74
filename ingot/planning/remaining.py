"""Plan the steps of a build that begins, beside it."""

import threading
from pathlib import Path

from ingot.errors import InputError
from ingot.planning import plan
from ingot.planning.experience import EXPERIENCE, Experience
from ingot.workflow import remaining
from ingot.workflow.build import Build


def plan_beside(build: Build, root: Path, steps: list[tuple[str, tuple[str, ...]]]) -> None:
    """Note what steps (rule, wildcards) will take, as soon as it is known. A build does not wait for that."""
    threading.Thread(target=note, args=(build, root, steps), daemon=True).start()


def note(build: Build, root: Path, steps: list[tuple[str, tuple[str, ...]]]) -> None:
    """Note what steps will take. Where there is no plan, the line does without."""
    named = [(f"{build.settings.preset}:{'-'.join([rule, *of])}", rule, of) for rule, of in steps]
    try:
        shape = plan.config_of(build, root)
        situation = plan.situation_of(build, shape, plan.gguf_bytes(shape, build.types, root))
        lines = plan.lines_of(situation, named, Experience(EXPERIENCE))
    except (InputError, KeyError, OSError):
        return
    remaining.SECONDS = {
        (rule, *wildcards): line.needs.seconds for (rule, wildcards), line in zip(steps, lines, strict=True)
    }
