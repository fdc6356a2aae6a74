"""Asking a model: questions in, answers out, and which of them are right.

All answers of all models have one format, a line of JSON each:

    id, instruction, response, domain, difficulty, checker    the question, with its reference answer
    sample                                                    0, or which of several samples it is
    answer, stopped, confidence                               as ingot.inference.answer.Answer says
    right                                                     what the checker says
"""

from collections import defaultdict
from typing import Any

from ingot.inference.answer import Answer, Backend
from ingot.io.records import Record
from ingot.measuring.significance import proportion
from ingot.text import chat
from ingot.text.checkers import is_right

LABELS = ("domain", "difficulty", "checker")


def answer_row(question: Record, answer: Answer, sample: int = 0) -> Record:
    """Return the row of one answer to a question, which is a record of the data stage or a benchmark item."""
    labels = question["metadata"]
    return {
        **{key: question[key] for key in ("id", "instruction", "response")},
        **{key: labels[key] for key in LABELS},
        "sample": sample,
        "answer": answer.text,
        "stopped": answer.stopped,
        "confidence": answer.confidence,
        "right": is_right(labels["checker"], answer.text, question["response"]),
    }


def ask(model: Backend, questions: list[Record], longest: int) -> list[Record]:
    """Ask a model and return the rows of its answers, in the order of the questions.

    A question is answered once, greedily, unless its key `ask` says how many `samples` it wants at which `temperature`.
    """
    wanted = [question.get("ask", {"samples": 1, "temperature": 0.0}) for question in questions]
    answers: dict[int, list[Answer]] = {}
    for temperature in sorted({each["temperature"] for each in wanted}):
        places = [i for i, each in enumerate(wanted) if each["temperature"] == temperature]
        prompts = [chat.prompt_text(model.tokenizer, questions[i]["instruction"]) for i in places]
        counts = [wanted[i]["samples"] for i in places]
        repeated = [prompt for prompt, count in zip(prompts, counts, strict=True) for _ in range(count)]
        answered = iter(model.complete(repeated, longest, temperature))
        for i, count in zip(places, counts, strict=True):
            answers[i] = [next(answered) for _ in range(count)]
    return [
        answer_row(question, answer, sample)
        for i, question in enumerate(questions)
        for sample, answer in enumerate(answers[i])
    ]


def exact_match(rows: list[Record]) -> dict[str, Any]:
    """Return the share of right answers over all, per domain, and, where rows say it, per domain and difficulty."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        finer = {f"{row['domain']}/{row['difficulty']}"} if "difficulty" in row else set()
        for name in {"all", row["domain"]} | finer:  # a domain may be called "all"
            groups[name].append(row["right"])
    return {name: proportion(sum(marks), len(marks)) for name, marks in sorted(groups.items())}


def domain_shares(rows: list[Record]) -> dict[str, float]:
    """Return the share of right answers of every domain."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        groups[row["domain"]].append(row["right"])
    return {domain: sum(marks) / len(marks) for domain, marks in sorted(groups.items())}
