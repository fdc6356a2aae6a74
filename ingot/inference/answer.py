"""The interface of every model in memory, and the answers that it gives."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ingot.io.files import write_whole
from ingot.io.progress import progress


@dataclass(frozen=True)
class Answer:
    """The answer of a model to a prompt."""

    text: str
    stopped: bool
    """Whether the model ended the answer by itself. If not, it was cut off."""
    confidence: float | None = None
    """The geometric mean of the probabilities of the answer's tokens, if the backend computes it."""


def digest(text: str) -> str:
    """Return a short digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Notes:
    """Answers in a file, a line each, which a step that was killed need not ask for again."""

    def __init__(self, path: Path, questions: list[str]) -> None:
        """Read what is there about `questions`, each a digest of what is asked and how.

        A line that was being written when the step was killed counts for nothing.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.questions = path, questions
        self.known: dict[int, Answer] = {}
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        for row in [json.loads(line) for line in lines if line.endswith("\n")]:
            place, question = row.pop("place"), row.pop("question")
            if questions[place : place + 1] == [question]:
                self.known[place] = Answer(**row)
        write_whole(path, "".join(self.line(place, answer) for place, answer in self.known.items()))

    def line(self, place: int, answer: Answer) -> str:
        """Write the line of an answer."""
        return json.dumps({"place": place, "question": self.questions[place], **asdict(answer)}) + "\n"

    def noting(self, answers: Iterator[tuple[int, Answer]]) -> Iterator[tuple[int, Answer]]:
        """Pass on (place of a prompt, its answer), and note each."""
        with self.path.open("a", encoding="utf-8") as file:
            for place, answer in answers:
                file.write(self.line(place, answer))
                file.flush()
                yield place, answer


class Backend(ABC):
    """A model in memory: a checkpoint or a GGUF file."""

    tokenizer: Any
    work: Path | None = None
    """Where answers are noted as they end: the folder that a step goes on from. None: nowhere."""
    calls = 0
    """How often it was asked to complete prompts. A step that goes on asks the same, in the same order."""

    def complete(self, prompts: list[str], limits: list[int], temperature: float = 0.0) -> list[Answer]:
        """Answer prompts that are already in the chat template, each with at most so many tokens.

        Answers are greedy at temperature 0, and sampled at any other. Greedy ones that an earlier run of the step has
        noted are not asked for again. In other company, a prompt may get an answer whose likeliest tokens were as good
        as equal: sums of floating-point numbers differ with the batch in their last digits. What is drawn depends on
        all that is drawn before it, so samples are drawn again.
        """
        self.calls += 1
        notes = None
        if self.work and not temperature:
            questions = [digest(f"{limit} {prompt}") for prompt, limit in zip(prompts, limits, strict=True)]
            notes = Notes(self.work / f"answers-{self.calls}.jsonl", questions)
        known = dict(notes.known) if notes else {}
        asked = [place for place in range(len(prompts)) if place not in known]
        answered = self.answered([prompts[place] for place in asked], [limits[place] for place in asked], temperature)
        found = ((asked[i], answer) for i, answer in answered)
        shown = progress(notes.noting(found) if notes else found, "answers", "question", len(prompts), len(known))
        known |= dict(shown)
        return [known[place] for place in range(len(prompts))]

    @abstractmethod
    def answered(self, prompts: list[str], limits: list[int], temperature: float) -> Iterator[tuple[int, Answer]]:
        """Yield (place of a prompt, its answer) as the answers end."""

    @abstractmethod
    def logits(self, ids: list[int]) -> Any:
        """Compute the logits [tokens, vocabulary] along token ids [tokens]. Those at i are for token i + 1."""
