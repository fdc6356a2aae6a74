"""lm-evaluation-harness, asking the models of this project with the chat template and stop tokens of their training."""

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
from ingot.measuring.suites import load_task
from ingot.text import chat

UNLIKELY = -1e9  # the log-probability of what follows a question that is too long to be asked


class ChatModel(LM):
    """A backend as the harness wants a model to be.

    A question of `context` tokens or more is not answered, whatever the backend could do: all models of a chain are
    asked the same.
    """

    def __init__(self, backend: Backend, longest: int, context: int) -> None:
        super().__init__()
        self.backend, self.longest, self.context = backend, longest, context

    def fits(self, prompt: str) -> bool:
        """Tell whether a rendered question leaves room for an answer."""
        return len(self.backend.tokenizer(prompt, add_special_tokens=False)["input_ids"]) < self.context

    @property
    def tokenizer_name(self) -> str:
        """Return a name for the chat template; the harness keeps nothing under it here."""
        return "chat"

    def chat_template(self, _: bool | str = False) -> str:
        """Return the template, for the report of the harness."""
        return str(self.backend.tokenizer.chat_template)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Render a conversation as training did."""
        return chat.render(self.backend.tokenizer, chat_history, add_generation_prompt)

    def generate_until(self, requests: list[Any], **_: Any) -> list[str]:
        """Answer prompts; each ends at the first of its own stop strings, too."""
        prompts = [request.args[0] for request in requests]
        longest = min([self.longest, *(request.args[1].get("max_gen_toks", self.longest) for request in requests)])
        fitting = [self.fits(prompt) for prompt in prompts]
        answered = iter(self.backend.complete(list(itertools.compress(prompts, fitting)), longest))
        texts = [next(answered).text if fits else "" for fits in fitting]
        return [
            min((text.split(stop)[0] for stop in request.args[1].get("until", [])), key=len, default=text)
            for request, text in zip(requests, texts, strict=True)
        ]

    def loglikelihood(self, requests: list[Any], **_: Any) -> list[tuple[float, bool]]:
        """Return the log-probability of each continuation, and whether it is what greedy decoding gives."""
        import numpy as np

        known: dict[tuple[int, ...], Any] = {}
        found = []
        for context, continuation in (request.args for request in requests):
            if not self.fits(context):
                found.append((UNLIKELY, False))
                continue
            before, after = (
                self.backend.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (context, continuation)
            )
            # Of many choices after one question, most are a token: their logits are those after the question.
            key = tuple(before + after[:-1])
            if key not in known:
                known = {key: np.asarray(self.backend.logits(list(key)), np.float64)}
            logits = known[key][len(before) - 1 :]
            logprobs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
            chosen = logprobs[np.arange(len(after)), after]
            found.append((float(chosen.sum()), bool((logits.argmax(-1) == after).all())))
        return found

    def loglikelihood_rolling(self, requests: list[Any], **_: Any) -> list[float]:
        """Refuse: no suite here asks for the probability of texts without a question."""
        raise InputError("a suite of type loglikelihood_rolling cannot be asked of a chat model")


def as_row(place: int, record: Record) -> Record:
    """Return an item as a row of a table, where a field is text or a list of texts; other values are told as JSON."""
    row: Record = {"place": place, "instruction": record["instruction"]}
    for name, value in record["item"].items():
        texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
        row[name] = value if texts or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return row


def task_of(path: Path, items: list[Record], shown: list[Record], scorer: str | None) -> Any:
    """Return the harness's task of a suite, with our items, the examples that are shown, and our scorer."""
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask

    config = load_task(path)
    score = config["metadata"]["score"]
    if scorer:
        judge: Callable[[Record, str], bool] = SCORERS[scorer]
        # The scorer gets the item as it was, which a table cannot hold.
        config["process_results"] = lambda row, found: {score: float(judge(items[row["place"]]["item"], found[0]))}
    # What is shown is ours alone: a file may name a split that we lack, or have the harness draw from what is asked.
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
    config["custom_dataset"] = lambda **_: {config["test_split"]: table}
    config["metadata"] = {"version": config["metadata"]["version"]}
    return ConfigurableTask(config=config)


def ask(backend: Backend, path: Path, questions: list[Record], longest: int, context: int) -> list[Record]:
    """Ask a model the items of a suite; return per item prompt, answer, reference, and whether it is right.

    Items marked as `example` are turns of the conversation before every question. One that is too long for the
    `context` is `too_long`, and not right.
    """
    from lm_eval.evaluator import evaluate

    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # its warnings are about options that are not used here
    about = load_task(path)["metadata"]
    scorer = about.get("score_by")
    if scorer in RUN_CODE:
        require_sandbox()
    shown = [one for one in questions if one.get("example")]
    items = [one for one in questions if not one.get("example")]
    task = task_of(path, items, shown, scorer)
    model = ChatModel(backend, longest, context)
    found = evaluate(
        model,
        {"tasks": {path.stem: task}, "groups": {}, "group_map": {}},
        bootstrap_iters=0,
        apply_chat_template=True,
        fewshot_as_multiturn=True,
    )
    samples = sorted(found["samples"][path.stem], key=lambda sample: int(sample["doc_id"]))
    samples = [sample for sample in samples if sample["filter"] == samples[0]["filter"]]  # a task may have several
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
            "right": fits and bool(sample[about["score"]]),
            "prompt": prompt,
            "too_long": not fits,
        }
        for item, sample, prompt, fits in zip(items, samples, prompts, map(model.fits, prompts), strict=True)
    ]


def mismatches(own: Any, trained: Any, items: list[Record]) -> int:
    """Return of how many items the tokens, in the template, are not those that training would have made of them."""
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
    """Ask a suite and write report and answers; `parent` is [] or [its report, its answers].

    Raises InputError where the model reads other tokens than its training, or ends an answer with another one.
    """
    asked = list(read_records(questions))
    if wrong := mismatches(backend.tokenizer, trained, asked):
        raise InputError(
            f"{names['model']}: its tokenizer or chat template reads {wrong} of {len(asked)} items of {names['suite']}"
            " other than in training; what would be measured is not what was trained"
        )
    rows = ask(backend, task, asked, longest, context)
    right = [row["right"] for row in rows]
    too_long = sum(row["too_long"] for row in rows)
    report: dict[str, Any] = {**names, "score": proportion(sum(right), len(right)), "too_long": too_long}
    if parent:
        before = {row["id"]: row["right"] for row in read_records(parent[1])}
        report["parent"] = read_json(parent[0])["model"]
        report["versus_parent"] = compare_pairs(right, [before[row["id"]] for row in rows])
    write_records(outputs[1], rows)
    write_json(outputs[0], report)
