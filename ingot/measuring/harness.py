"""Ask suites with lm-evaluation-harness. Models get the chat template and stop tokens that they were trained with."""

import itertools
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lm_eval.api.model import LM

from ingot.errors import InputError
from ingot.inference.answer import Backend
from ingot.io.records import Record, read_json, read_records, write_json, write_records
from ingot.measuring.sandbox import require_sandbox
from ingot.measuring.scoring import RUN_CODE, SCORERS
from ingot.measuring.significance import compare_pairs, proportion
from ingot.measuring.suites import load_task, sandboxed
from ingot.text import chat

UNLIKELY = -1e9  # stands for the log-probability of an answer to a question that is too long to be asked


class ChatModel(LM):
    """Gives a backend the interface that the harness wants of a model.

    It does not ask a question of `context` tokens or more, even if the backend could read it. So all models of a chain
    are asked the same questions.
    """

    def __init__(self, backend: Backend, longest: int, context: int) -> None:
        super().__init__()
        self.backend, self.longest, self.context = backend, longest, context

    def fits(self, prompt: str) -> bool:
        """Tell whether a question, in the chat template, leaves room for an answer."""
        return len(self.backend.tokenizer(prompt, add_special_tokens=False)["input_ids"]) < self.context

    @property
    def tokenizer_name(self) -> str:
        """Return a name for the chat template. The harness asks for it, but uses it for nothing here."""
        return "chat"

    def chat_template(self, _: bool | str = False) -> str:
        """Return the chat template, which the harness puts into its report."""
        return str(self.backend.tokenizer.chat_template)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Write a conversation in the chat template, as training did."""
        return chat.render(self.backend.tokenizer, chat_history, add_generation_prompt)

    def generate_until(self, requests: list[Any], **_: Any) -> list[str]:
        """Answer prompts. An answer ends at a stop token of the model, or at a stop string of its request."""
        prompts = [request.args[0] for request in requests]
        limits = [min(self.longest, request.args[1].get("max_gen_toks", self.longest)) for request in requests]
        fitting = [self.fits(prompt) for prompt in prompts]
        fitting_prompts, fitting_limits = (list(itertools.compress(part, fitting)) for part in (prompts, limits))
        answers = iter(self.backend.complete(fitting_prompts, fitting_limits))
        texts = [next(answers).text if fits else "" for fits in fitting]
        return [
            min((text.split(stop)[0] for stop in request.args[1].get("until", [])), key=len, default=text)
            for request, text in zip(requests, texts, strict=True)
        ]

    def loglikelihood(self, requests: list[Any], **_: Any) -> list[tuple[float, bool]]:
        """Compute the log-probability of each continuation, and tell whether greedy decoding would give it."""
        import numpy as np

        last_logits: dict[tuple[int, ...], Any] = {}
        likelihoods = []
        for context, continuation in (request.args for request in requests):
            if not self.fits(context + continuation):
                likelihoods.append((UNLIKELY, False))
                continue
            before, after = (
                self.backend.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (context, continuation)
            )
            # The choices after one question are mostly single tokens. They all need the same logits, computed once.
            key = tuple(before + after[:-1])
            if key not in last_logits:
                last_logits = {key: np.asarray(self.backend.logits(list(key)), np.float64)}
            logits = last_logits[key][len(before) - 1 :]
            logprobs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
            of_continuation = logprobs[np.arange(len(after)), after]
            likelihoods.append((float(of_continuation.sum()), bool((logits.argmax(-1) == after).all())))
        return likelihoods

    def loglikelihood_rolling(self, requests: list[Any], **_: Any) -> list[float]:
        """Raise InputError: such a suite asks for the probability of texts without a question."""
        raise InputError("a suite of the type loglikelihood_rolling cannot be asked of a chat model")


def as_row(place: int, record: Record) -> Record:
    """Make an item a row of a table. Texts and lists of texts stay as they are; other values are written as JSON."""
    row: Record = {"place": place, "instruction": record["instruction"]}
    for name, value in record["item"].items():
        is_list_of_texts = isinstance(value, list) and all(isinstance(element, str) for element in value)
        keep = is_list_of_texts or isinstance(value, str)
        row[name] = value if keep else json.dumps(value, ensure_ascii=False)
    return row


def fill_templates_in_sandbox() -> None:
    """Let the harness fill the templates of task files in jinja's sandbox. Its own environment has none."""
    from lm_eval import utils

    environment = sandboxed()
    environment.filters |= utils.env.filters | {"from_json": json.loads}  # see as_row
    utils.env = environment


def require_known_metrics(metrics: list[dict[str, Any]], path: Path) -> None:
    """Raise InputError for a metric that the harness would look for on the hub, where metrics are code."""
    import lm_eval.api.metrics  # noqa: F401  (registers its metrics)
    from lm_eval.api.registry import metric_registry

    if unknown := [metric["metric"] for metric in metrics if metric["metric"] not in metric_registry]:
        raise InputError(
            f"{path}: metric_list: the harness has no metric {', '.join(unknown)}; none comes from the hub"
        )


def task_of(path: Path, items: list[Record], shown: list[Record], scorer: str | None) -> Any:
    """Make the harness's task of a suite, with our `items`, the examples that are `shown`, and our scorer."""
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask

    config = load_task(path)
    score = config["metadata"]["score"]
    if scorer:
        is_right: Callable[[Record, str], bool] = SCORERS[scorer]
        # The scorer gets the original item. A row of the table may hold some of its values as JSON.
        config["process_results"] = lambda row, answers: {
            score: float(is_right(items[row["place"]]["item"], answers[0]))
        }
    # The examples are always ours. A task file may name a split that we lack, or let the harness draw examples from
    # the very items that are asked.
    config.pop("fewshot_split", None)
    samples = [as_row(-1, record) for record in shown]
    config["num_fewshot"] = len(samples)
    config["fewshot_config"] = {
        **(config.get("fewshot_config") or {}),
        "sampler": "first_n",
        "split": None,
        "samples": samples or None,
    }
    table = Dataset.from_list([as_row(place, record) for place, record in enumerate(items)])
    if not scorer:
        require_known_metrics(config["metric_list"], path)
    fill_templates_in_sandbox()
    config["custom_dataset"] = lambda **_: {config["test_split"]: table}
    config["metadata"] = {"version": config["metadata"]["version"]}
    return ConfigurableTask(config=config)


def ask(backend: Backend, path: Path, questions: list[Record], longest: int, context: int) -> list[Record]:
    """Ask a model the items of a suite. Return the prompt, answer, reference and verdict of each item, in their order.

    `path` is the task file. Questions marked as `example` are not asked, but shown as turns of the conversation before
    every question. A question that does not fit into `context` tokens is `too_long`, and counts as wrong.

    Raises InputError if the suite runs code and there is no sandbox.
    """
    from lm_eval.evaluator import evaluate

    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # its warnings are about options that are not used here
    scoring = load_task(path)["metadata"]
    scorer = scoring.get("score_by")
    if scorer in RUN_CODE:
        require_sandbox()
    shown = [question for question in questions if question.get("example")]
    items = [question for question in questions if not question.get("example")]
    task = task_of(path, items, shown, scorer)
    model = ChatModel(backend, longest, context)
    results = evaluate(
        model,
        {"tasks": {path.stem: task}, "groups": {}, "group_map": {}},
        bootstrap_iters=0,
        apply_chat_template=True,
        fewshot_as_multiturn=True,
    )
    samples = sorted(results["samples"][path.stem], key=lambda sample: int(sample["doc_id"]))
    # A task may apply several filters to an answer. The first one counts.
    samples = [sample for sample in samples if sample["filter"] == samples[0]["filter"]]
    prompts = [
        sample["arguments"][0][0] if isinstance(sample["arguments"], list) else str(sample["arguments"])
        for sample in samples
    ]
    return [
        {
            "id": item["id"],
            "instruction": item["instruction"],
            "response": sample["target"],
            "domain": path.stem,
            "answer": sample["resps"][0][0] if task.OUTPUT_TYPE == "generate_until" else sample["filtered_resps"],
            "right": fits and is_right(sample[scoring["score"]], path),
            "prompt": prompt,
            "too_long": not fits,
        }
        for item, sample, prompt, fits in zip(items, samples, prompts, map(model.fits, prompts), strict=True)
    ]


def is_right(score: Any, path: Path) -> bool:
    """Read the verdict on one answer. InputError if the metric gives none for single answers, as bleu and f1 do."""
    if score not in (0, 1) or isinstance(score, list | tuple | str):
        raise InputError(
            f"{path}: metadata.score: its metric says {score!r} of an answer, and not 0 or 1; take another"
        )
    return bool(score)


def mismatches(own: Any, trained: Any, items: list[Record]) -> int:
    """Count the items that become other tokens, in the chat template, than they would have in training.

    `own` is the tokenizer of the model, and `trained` the one that training used.
    """
    texts = [(item["instruction"], item["response"]) for item in items]
    return sum(chat.encode(own, *pair) != chat.encode(trained, *pair) for pair in texts)


def write_evaluation(
    backend: Backend,
    trained: Any,
    questions: Path,
    task: Path,
    parent: list[Path],
    outputs: tuple[Path, Path],
    names: dict[str, str],
    longest: int,
    context: int,
) -> None:
    """Ask a suite, and write the report and the answers to `outputs`.

    `trained` is the tokenizer that training used. `parent` is [report, answers] of the model's parent, or [].

    Raises InputError if an item becomes other tokens than it would have in training, or if an answer would end with
    another token.
    """
    items = list(read_records(questions))
    if wrong := mismatches(backend.tokenizer, trained, items):
        raise InputError(
            f"{names['model']}: its tokenizer or chat template reads {wrong} of {len(items)} items of {names['suite']}"
            " other than in training; what would be measured is not what was trained"
        )
    rows = ask(backend, task, items, longest, context)
    right = [row["right"] for row in rows]
    too_long = sum(row["too_long"] for row in rows)
    report: dict[str, Any] = {**names, "score": proportion(sum(right), len(right)), "too_long": too_long}
    if parent:
        before = {row["id"]: row["right"] for row in read_records(parent[1])}
        report["parent"] = read_json(parent[0])["model"]
        report["versus_parent"] = compare_pairs(right, [before[row["id"]] for row in rows])
    write_records(outputs[1], rows)
    write_json(outputs[0], report)
