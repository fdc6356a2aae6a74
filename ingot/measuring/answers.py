"""Ask a model questions, and mark its answers as right or wrong.

The answers of every model have the same format. Each answer is a line of JSON:

    id, instruction, response, domain, difficulty, checker    the question and its reference answer
    sample                                                    0, or the number of the sample if there are several
    answer, stopped, confidence                               see ingot.inference.answer.Answer
    right                                                     whether the checker accepts the answer
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
    """Make the row of one answer. The question is a record of the data stage or a benchmark item."""
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

    The model answers a question once, greedily. If the question has the key `ask`, it says how many `samples` to draw
    at which `temperature`. An answer has at most `longest` tokens.
    """
    manners = [question.get("ask", {"samples": 1, "temperature": 0.0}) for question in questions]
    answers: dict[int, list[Answer]] = {}
    for temperature in sorted({manner["temperature"] for manner in manners}):
        places = [i for i, manner in enumerate(manners) if manner["temperature"] == temperature]
        prompts = [chat.prompt_text(model.tokenizer, questions[i]["instruction"]) for i in places]
        counts = [manners[i]["samples"] for i in places]
        repeated = [prompt for prompt, count in zip(prompts, counts, strict=True) for _ in range(count)]
        completions = iter(model.complete(repeated, longest, temperature))
        for i, count in zip(places, counts, strict=True):
            answers[i] = [next(completions) for _ in range(count)]
    return [
        answer_row(question, answer, sample)
        for i, question in enumerate(questions)
        for sample, answer in enumerate(answers[i])
    ]


def exact_match(rows: list[Record]) -> dict[str, Any]:
    """Compute the share of right answers with its interval: over all, per domain, and per domain and difficulty.

    Rows without a difficulty count in the first two only.
    """
    groups: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        finer = {f"{row['domain']}/{row['difficulty']}"} if "difficulty" in row else set()
        for name in {"all", row["domain"]} | finer:  # a domain may be called "all"
            groups[name].append(row["right"])
    return {name: proportion(sum(marks), len(marks)) for name, marks in sorted(groups.items())}


def domain_shares(rows: list[Record]) -> dict[str, float]:
    """Compute the share of right answers of every domain, from 0 to 1."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        groups[row["domain"]].append(row["right"])
    return {domain: sum(marks) / len(marks) for domain, marks in sorted(groups.items())}
