"""Ask a model questions, and mark its answers as right or wrong.

The answers of every model have the same format. Each answer is a line of JSON:

    id, instruction, response, domain, difficulty, checker    the question and its reference answer
    sample                                                    0, or the number of the sample if there are several
    answer, stopped, confidence                               see ingot.inference.answer.Answer; null: not asked
    right                                                     whether the checker accepts the answer; null if it is open
"""

import math
from collections import defaultdict
from statistics import fmean
from typing import Any

from ingot.inference.answer import Answer, Backend
from ingot.io.records import Record
from ingot.measuring.predictions import log_likelihood
from ingot.measuring.significance import compare_means, compare_pairs, holm, proportion
from ingot.settings.measure import Longest
from ingot.text import chat
from ingot.text.checkers import OPEN, is_right

# With `auto`, an answer may be so much longer than the longest reference of its kind, and a few tokens more.
ROOM, MORE = 1.5, 32
LABELS = ("domain", "difficulty", "checker")


def answer_row(question: Record, answer: Answer | None, sample: int = 0) -> Record:
    """Make the row of one answer, or of none. The question is a record of the data stage or a benchmark item."""
    labels = question["metadata"]
    if answer is None:
        said: dict[str, Any] = dict.fromkeys(("answer", "stopped", "confidence", "right"))
    else:
        right = is_right(labels["checker"], answer.text, question["response"], labels.get("accepted"))
        said = {"answer": answer.text, "stopped": answer.stopped, "confidence": answer.confidence, "right": right}
    return {
        **{key: question[key] for key in ("id", "instruction", "response")},
        **{key: labels[key] for key in LABELS},
        "sample": sample,
        **said,
    }


def limits_of(tokenizer: Any, questions: list[Record], longest: Longest) -> list[int]:
    """Return how many tokens the answer to each question may have: `longest`, or with `auto` what its kind calls for.

    Questions of a kind have the same domain and checker. A model that never ends then costs as little as possible. The
    longest reference of its kind counts; of open ones, which no checker waits for the end of, nine in ten are shorter.
    """
    if longest != "auto":
        return [longest] * len(questions)
    kinds = [(question["metadata"]["domain"], question["metadata"]["checker"]) for question in questions]
    lengths: dict[tuple[str, str], list[int]] = defaultdict(list)
    for kind, question in zip(kinds, questions, strict=True):
        lengths[kind].append(len(tokenizer(question["response"], add_special_tokens=False)["input_ids"]))
    counts = {kind: max(of_kind) if kind[1] != OPEN else decile(of_kind) for kind, of_kind in lengths.items()}
    return [round(ROOM * counts[kind]) + MORE for kind in kinds]


def decile(lengths: list[int]) -> int:
    """Return the length that nine in ten do not exceed."""
    return sorted(lengths)[math.ceil(0.9 * len(lengths)) - 1]


def ask(model: Backend, questions: list[Record], longest: Longest, open_too: bool = False) -> list[Record]:
    """Ask a model and return the rows of its answers, in the order of the questions.

    Open questions are not asked, except for `open_too`: their answers are the longest, and only a judge can read them.
    The model answers a question once, greedily. If the question has the key `ask`, it says how many `samples` to draw
    at which `temperature`. An answer has at most `longest` tokens, see `limits_of`.
    """
    limits = limits_of(model.tokenizer, questions, longest)
    manners = [question.get("ask", {"samples": 1, "temperature": 0.0}) for question in questions]
    answers: dict[int, list[Answer | None]] = {}
    is_asked = [open_too or question["metadata"]["checker"] != OPEN for question in questions]
    for temperature in sorted({manner["temperature"] for manner in manners}):
        places = [i for i, manner in enumerate(manners) if manner["temperature"] == temperature and is_asked[i]]
        prompts = [chat.prompt_text(model.tokenizer, questions[i]["instruction"]) for i in places]
        counts = [manners[i]["samples"] for i in places]
        repeated = [prompt for prompt, count in zip(prompts, counts, strict=True) for _ in range(count)]
        of_repeated = [limits[i] for i, count in zip(places, counts, strict=True) for _ in range(count)]
        completions = iter(model.complete(repeated, of_repeated, temperature))
        for i, count in zip(places, counts, strict=True):
            answers[i] = [next(completions) for _ in range(count)]
    return [
        answer_row(question, answer, sample)
        for i, question in enumerate(questions)
        for sample, answer in enumerate(answers.get(i, [None] * manners[i]["samples"]))
    ]


def with_likelihoods(model: Backend, rows: list[Record]) -> list[Record]:
    """Add to the rows of open questions how likely the reference is to the model: nats per token, at most 0."""
    for row in rows:
        if row["right"] is None:
            encoded = chat.encode(model.tokenizer, row["instruction"], row["response"])
            row["likelihood"] = round(log_likelihood(model.logits(encoded.ids), encoded), 5)
    return rows


def checked(rows: list[Record]) -> list[Record]:
    """Return the rows whose answers are right or wrong. Open ones are neither."""
    return [row for row in rows if row["right"] is not None]


def marks(rows: list[Record]) -> list[bool]:
    """Return whether each answer that could be checked is right."""
    return [row["right"] for row in checked(rows)]


def exact_match(rows: list[Record]) -> dict[str, Any]:
    """Compute the share of right answers with its interval: over all, per domain, and per domain and difficulty.

    Rows without a difficulty count in the first two only, and open ones nowhere. `cut_off` counts the wrong answers
    that reached the longest length allowed: they might have become right.
    """
    groups: dict[str, list[Record]] = defaultdict(list)
    groups["all"] = []
    for row in checked(rows):
        finer = {f"{row['domain']}/{row['difficulty']}"} if "difficulty" in row else set()
        for name in {"all", row["domain"]} | finer:  # a domain may be called "all"
            groups[name].append(row)
    return {
        name: {
            **proportion(sum(row["right"] for row in group), len(group)),
            "cut_off": sum(not row["right"] and not row.get("stopped", True) for row in group),
        }
        for name, group in sorted(groups.items())
    }


def likelihoods(rows: list[Record]) -> dict[str, dict[str, float]]:
    """Compute the mean likelihood of the references of open questions, in nats per token: over all and per domain."""
    groups: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["right"] is None:
            for name in {"all", row["domain"]}:
                groups[name].append(row["likelihood"])
    return {name: {"of": len(all_of), "likelihood": round(fmean(all_of), 4)} for name, all_of in sorted(groups.items())}


def compare_likelihoods(ours: list[Record], theirs: list[Record]) -> dict[str, dict[str, float]]:
    """Compare two models by how likely the same references of open questions are to them: over all and per domain."""
    groups: dict[str, list[float]] = defaultdict(list)
    for row, other in zip(ours, theirs, strict=True):
        if row["right"] is None:
            for name in {"all", row["domain"]}:
                groups[name].append(row["likelihood"] - other["likelihood"])
    return {name: compare_means(gains) for name, gains in sorted(groups.items())}


def compare_domains(ours: list[Record], theirs: list[Record]) -> dict[str, dict[str, float]]:
    """Compare two models by which questions of each domain they answer right (`compare_pairs`).

    `p_adjusted` is the p value among those of all domains, by Holm's method.
    """
    groups: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for row, other in zip(checked(ours), checked(theirs), strict=True):
        groups[row["domain"]].append((row["right"], other["right"]))
    compared = {
        domain: compare_pairs([ours for ours, _ in pairs], [theirs for _, theirs in pairs])
        for domain, pairs in sorted(groups.items())
    }
    adjusted = holm({domain: figures["p_value"] for domain, figures in compared.items()})
    return {domain: {**figures, "p_adjusted": adjusted[domain]} for domain, figures in compared.items()}


def domain_shares(rows: list[Record]) -> dict[str, float]:
    """Compute the share of right answers of every domain, from 0 to 1."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for row in checked(rows):
        groups[row["domain"]].append(row["right"])
    return {domain: sum(marks) / len(marks) for domain, marks in sorted(groups.items())}
