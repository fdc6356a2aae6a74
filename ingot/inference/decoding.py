"""Decode several sequences at a time with llama.cpp, greedily. When one ends, the next prompt takes its place."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ingot.inference.context import Context

PARALLEL = 16
"""How many sequences are decoded together."""


@dataclass
class Sequence:
    """A prompt and the part of its answer that is there so far."""

    place: int
    """Which of the prompts it is, from 0 on."""
    slot: int
    """Which sequence it is in the KV cache."""
    waiting: list[int]
    """The tokens that the model has not read yet: first the prompt, then the last token that was chosen."""
    length: int = 0
    """How many tokens the model has read."""
    chosen: list[int] = field(default_factory=list)
    """The tokens of the answer."""
    logprobs: list[float] = field(default_factory=list)
    """The log-probabilities of the answer's tokens and of the token that ends it."""
    stopped: bool = False
    """Whether the model ended the answer by itself."""


class Decoder(Context):
    """A context with room for `PARALLEL` sequences, which answer many prompts."""

    def __init__(self, model: Any, context: int, threads: int) -> None:
        """Open a context of a loaded model with sequences of `context` tokens. See `Context` for errors."""
        super().__init__(model, context, PARALLEL, threads)

    def answers(self, prompts: list[list[int]], limits: list[int]) -> Iterator[Sequence]:
        """Answer prompts, each with at most so many tokens. Yield their sequences in the order in which they end.

        A prompt is a list of token ids, at least one and fewer than `context`.
        """
        waiting = deque(enumerate(prompts))
        free_slots = list(range(PARALLEL))
        active: list[Sequence] = []
        while waiting or active:
            while waiting and free_slots:
                place, ids = waiting.popleft()
                active.append(Sequence(place, free_slots.pop(), list(ids)))
            ready = self.fill(active)
            self.choose(ready, self.run(len(ready)))
            for sequence in ready:
                full = len(sequence.chosen) >= limits[sequence.place] or sequence.length >= self.length
                if sequence.stopped or full:
                    active.remove(sequence)
                    free_slots.append(sequence.slot)
                    self.forget(sequence.slot)
                    yield sequence

    def fill(self, active: list[Sequence]) -> list[Sequence]:
        """Fill the batch with waiting tokens, in the order of the sequences.

        Returns the sequences that have no token waiting any more: the batch computes their next token.
        """
        ready = []
        for sequence in active:
            fitting = sequence.waiting[: self.room]
            sequence.waiting = sequence.waiting[len(fitting) :]
            is_ready = bool(fitting) and not sequence.waiting
            for i, token in enumerate(fitting, 1):
                self.add(token, sequence.length, sequence.slot, is_ready and i == len(fitting))
                sequence.length += 1
            if is_ready:
                ready.append(sequence)
        return ready

    def choose(self, asked: list[Sequence], logits: Any) -> None:
        """Give each sequence its likeliest next token, from logits [sequences, vocabulary]."""
        import numpy as np

        best = logits.argmax(axis=1)
        top = logits[np.arange(len(asked)), best]
        logprobs = -np.log(np.exp(logits - top[:, None]).sum(axis=1))
        for sequence, token, logprob in zip(asked, best.tolist(), logprobs.tolist(), strict=True):
            sequence.logprobs.append(logprob)
            if self.is_end(token):
                sequence.stopped = True
            else:
                sequence.chosen.append(token)
                sequence.waiting = [token]

    def logits(self, ids: list[int]) -> Any:
        """Compute the logits [tokens, vocabulary] along token ids [tokens]."""
        import numpy as np

        self.api.llama_memory_clear(self.memory, True)
        logits = []
        for start in range(0, len(ids), self.room):
            part = ids[start : start + self.room]
            for i, token in enumerate(part):
                self.add(token, start + i, 0, True)
            logits.append(self.run(len(part)).copy())
        self.api.llama_memory_clear(self.memory, True)
        return np.concatenate(logits)
