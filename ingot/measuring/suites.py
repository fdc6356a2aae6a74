"""Suites: the tasks of lm-evaluation-harness in suites/, and the items that they are asked about."""

from pathlib import Path
from typing import Any

import yaml

from ingot.errors import InputError
from ingot.io.records import Record

Task = dict[str, Any]


def load_task(path: Path) -> Task:
    """Read a task file of lm-evaluation-harness; no code that it may name is loaded.

    Its `metadata` says more than the harness needs: `score` is the metric that counts, `score_by` a function of
    ingot.measuring.scoring that computes it, `question` and `answer` are templates of what must not be trained on, and
    `no_examples` says why examples cannot be shown, where they cannot.
    """
    task = yaml.safe_load(path.read_text(encoding="utf-8"))
    missing = {"score", "question", "answer"} - set(task.get("metadata") or {})
    if missing:
        raise InputError(f"{path}: the key `metadata` lacks {', '.join(sorted(missing))}; see the other suites")
    return dict(task)


def rendered(template: str, item: Record, path: Path) -> str:
    """Return a template filled with the fields of an item; InputError names a field that it lacks."""
    import jinja2
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
    try:
        return environment.from_string(template).render(**item)
    except jinja2.TemplateError as error:
        raise InputError(f"{path}: an item does not fit its suite: {error}; is it the right file, or suite?") from None
