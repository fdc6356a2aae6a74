"""The interface of every model in memory, and the answers that it gives."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ingot.io.progress import progress


@dataclass(frozen=True)
class Answer:
    """The answer of a model to a prompt."""

    text: str
    stopped: bool
    """Whether the model ended the answer by itself. If not, it was cut off."""
    confidence: float | None = None
    """The geometric mean of the probabilities of the answer's tokens, if the backend computes it."""


class Notes:
    """Answers in a file, a line each, which a step that was killed need not ask for again."""

    def __init__(self, path: Path) -> None:
        """Read what is there. A line that was being written when the step was killed counts for nothing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith("\n")]
        self.known: dict[int, Answer] = {row.pop("place"): Answer(**row) for row in map(json.loads, whole)}
        if whole != lines:
            path.write_text("".join(whole), encoding="utf-8")

    def noting(self, answers: Iterator[tuple[int, Answer]]) -> Iterator[tuple[int, Answer]]:
        """Pass on (place of a prompt, its answer), and note each."""
        with self.path.open("a", encoding="utf-8") as file:
            for place, answer in answers:
                file.write(json.dumps({"place": place, **asdict(answer)}) + "\n")
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

        Answers are greedy at temperature 0, and sampled at any other. Those that an earlier run of the step has noted
        are not asked for again. In other company, a prompt may get an answer whose likeliest tokens were as good as
        equal: sums of floating-point numbers differ with the batch in their last digits.
        """
        self.calls += 1
        notes = Notes(self.work / f"answers-{self.calls}.jsonl") if self.work else None
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
