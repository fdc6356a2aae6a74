"""Read suites: tasks of lm-evaluation-harness, with the items that are asked."""

from pathlib import Path
from typing import Any

import yaml

from ingot.errors import InputError
from ingot.io.records import Record

Task = dict[str, Any]
# What a task file may say. Other keys of the harness name code, or data that only the harness could load.
KEYS = (
    *("task", "task_alias", "tag", "output_type", "test_split", "training_split", "validation_split", "fewshot_split"),
    *("dataset_path", "dataset_name", "doc_to_text", "doc_to_target", "doc_to_choice", "description", "gen_prefix"),
    *("target_delimiter", "fewshot_delimiter", "generation_kwargs", "filter_list", "metric_list", "repeats"),
    *("num_fewshot", "fewshot_config", "should_decontaminate", "doc_to_decontamination_query", "metadata"),
)


def load_task(path: Path) -> Task:
    """Read a task file of lm-evaluation-harness. Code that the file names is not loaded.

    The key `metadata` of the file says what Ingot needs beyond the harness. `score` is the metric that counts.
    `score_by`, if there, is the function of ingot.measuring.scoring that computes it. `question` and `answer` are
    templates of what a model must not be trained on. `no_examples`, if there, says why examples cannot be shown.

    Raises InputError if the file is not YAML, names code, or lacks a key that must be there.
    """
    try:
        task = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: not a task file that can be read: {reason}; no code (`!function`) is loaded"
        ) from None
    if not isinstance(task, dict):
        raise InputError(f"{path}: a task file is a mapping; see the other suites")
    if unknown := sorted(set(map(str, task)) - set(KEYS)):
        raise InputError(f"{path}: {', '.join(unknown)}: not allowed in a task file, since it may load code; remove it")
    for metric in task.get("metric_list") or []:
        if not isinstance(metric, dict) or not isinstance(metric.get("metric"), str) or metric.get("hf_evaluate"):
            raise InputError(
                f"{path}: metric_list: {metric}: name a metric of the harness; none is loaded from the hub"
            )
    missing = {"score", "question", "answer"} - set(task.get("metadata") or {})
    if missing:
        raise InputError(f"{path}: the key `metadata` lacks {', '.join(sorted(missing))}; see the other suites")
    return dict(task)


def sandboxed() -> Any:
    """Return a jinja environment for templates of others: they compute texts, and reach nothing of Python."""
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)


def rendered(template: str, item: Record, path: Path) -> str:
    """Fill a template of the task file `path` with the fields of an item. Raises InputError if a field is missing."""
    import jinja2

    try:
        return str(sandboxed().from_string(template).render(**item))
    except (jinja2.TemplateError, TypeError) as error:
        raise InputError(f"{path}: an item does not fit its suite: {error}; is it the right file, or suite?") from None
