"""Read suites: tasks of lm-evaluation-harness, with the items that are asked."""

from pathlib import Path
from typing import Any

import yaml

from ingot.errors import InputError
from ingot.io.records import Record

Task = dict[str, Any]


def load_task(path: Path) -> Task:
    """Read a task file of lm-evaluation-harness. Code that the file names is not loaded.

    The key `metadata` of the file says what Ingot needs beyond the harness. `score` is the metric that counts.
    `score_by`, if there, is the function of ingot.measuring.scoring that computes it. `question` and `answer` are
    templates of what a model must not be trained on. `no_examples`, if there, says why examples cannot be shown.

    Raises InputError if `metadata` lacks a key that must be there.
    """
    task = yaml.safe_load(path.read_text(encoding="utf-8"))
    missing = {"score", "question", "answer"} - set(task.get("metadata") or {})
    if missing:
        raise InputError(f"{path}: the key `metadata` lacks {', '.join(sorted(missing))}; see the other suites")
    return dict(task)


def rendered(template: str, item: Record, path: Path) -> str:
    """Fill a template of the task file `path` with the fields of an item. Raises InputError if a field is missing."""
    import jinja2
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
    try:
        return environment.from_string(template).render(**item)
    except jinja2.TemplateError as error:
        raise InputError(f"{path}: an item does not fit its suite: {error}; is it the right file, or suite?") from None
