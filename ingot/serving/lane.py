"""A lane: one context of llama.cpp for one route, which answers several requests together.

The adapters of a lane are set once and never change. So no answer can mix two routes, and to change the route is to
choose another lane.
"""

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ingot.inference.context import Context
from ingot.serving.protocol import Begun, Ended, Event, Parameters, ServingError, TooSlowError
from ingot.serving.sampling import Sampler


@dataclass(frozen=True)
class Listener:
    """Who waits for an answer, in an event loop of another thread."""

    loop: asyncio.AbstractEventLoop
    events: "asyncio.Queue[Event | ServingError]"


def tell(said: list[tuple[Listener, Event | ServingError]]) -> None:
    """Tell listeners what happened. Each loop is woken once: it takes the interpreter's lock from whoever computes."""
    for loop in {listener.loop for listener, _ in said}:
        own = [(listener.events, event) for listener, event in said if listener.loop is loop]
        with suppress(RuntimeError):  # the loop has ended, and nobody listens
            loop.call_soon_threadsafe(put_all, own)


def put_all(own: "list[tuple[asyncio.Queue[Event | ServingError], Event | ServingError]]") -> None:
    """Put events into their queues."""
    for queue, event in own:
        queue.put_nowait(event)


@dataclass(eq=False)
class Generation:
    """A request for an answer, and what is there of it so far."""

    route: str
    prompt: list[int]
    parameters: Parameters
    sampler: Sampler
    listener: Listener
    cancelled: bool = False
    """Whether nobody listens any more."""
    waiting: list[int] = field(default_factory=list)
    """The tokens that the model has not read yet: first the prompt, then the token that was chosen last."""
    written: int = 0
    """How many tokens the answer has."""
    asked: float = field(default_factory=time.monotonic)

    def is_over(self, now: float) -> bool:
        """Tell whether nobody waits for the answer any more. Whoever does when its time is over is told so."""
        if not self.cancelled and now - self.asked > self.parameters.seconds:
            self.cancelled = True
            late = TooSlowError(f"the answer was not whole after {self.parameters.seconds:g} seconds")
            tell([(self.listener, late)])
        return self.cancelled


@dataclass(eq=False)
class Slot:
    """A sequence of the context. After an answer it keeps its tokens, for a prompt that begins in the same way."""

    number: int
    tokens: list[int] = field(default_factory=list)
    generation: Generation | None = None
    used: float = 0.0
    asker: str = ""
    """Whose tokens they are."""

    def known(self, generation: Generation) -> int:
        """Count the tokens at the beginning of a prompt that are here, and of whoever asks."""
        if self.asker != generation.parameters.asker:
            return 0
        # The last token is computed anew, since its logits choose the first one of the answer.
        return min(shared_length(self.tokens, generation.prompt), len(generation.prompt) - 1)


def shared_length(a: list[int], b: list[int]) -> int:
    """Count the tokens at the beginning that two lists share."""
    limit = min(len(a), len(b))
    if a[:limit] == b[:limit]:
        return limit
    return next(i for i in range(limit) if a[i] != b[i])


class Lane:
    """Answers the requests of one route. At any time at most one thread computes it."""

    def __init__(self, context: Context, adapters: list[Any]) -> None:
        """Take an empty context, and set its adapters for good."""
        self.context = context
        context.use(adapters)
        self.slots = [Slot(number) for number in range(context.sequences)]
        self.queue: deque[Generation] = deque()
        self.spent = 0.0
        """Seconds that cores have computed this lane, for fairness among lanes."""
        self.cores = 0
        """How many compute it at the moment."""
        self.used = time.monotonic()
        self.said: list[tuple[Listener, Event | ServingError]] = []
        """What happened in the batch that is computed."""

    @property
    def busy(self) -> bool:
        """Whether there is something to compute."""
        return bool(self.queue) or any(slot.generation for slot in self.slots)

    @property
    def ahead(self) -> int:
        """How many tokens could be computed at once."""
        answers = [slot.generation for slot in self.slots if slot.generation]
        prompts = islice(self.queue, len(self.slots) - len(answers))
        return sum(len(one.waiting) for one in answers) + sum(len(one.prompt) for one in prompts)

    def step(self, most: int, cores: int) -> int:
        """Compute a batch, with at most `most` tokens of prompts. Return how many tokens were computed."""
        self.used = time.monotonic()
        self.drop_ended()
        self.take_in()
        ready, computed = self.fill(most)
        if computed:
            self.context.compute_on(cores)
            logits = self.context.run(len(ready))
            for slot, row in zip(ready, logits, strict=True):
                self.go_on(slot, row)
        tell(self.said)
        self.said = []
        return computed

    def drop_ended(self) -> None:
        """Free the slots of answers that nobody listens to, or that take too long."""
        for _ in range(len(self.queue)):  # while others are added at its end
            generation = self.queue.popleft()
            if not generation.is_over(self.used):
                self.queue.append(generation)
        for slot in self.slots:
            if slot.generation and slot.generation.is_over(self.used):
                slot.generation = None

    def take_in(self) -> None:
        """Give waiting requests a free slot: that which knows most of the prompt, else the one unused for longest."""
        free = [slot for slot in self.slots if not slot.generation]
        while self.queue and free:
            generation = self.queue.popleft()
            known, _, place = max((slot.known(generation), -slot.used, i) for i, slot in enumerate(free))
            slot = free.pop(place)
            if not self.context.forget(slot.number, known):
                self.context.forget(slot.number)
                known = 0
            slot.tokens = generation.prompt[:known]
            slot.generation, slot.used, slot.asker = generation, self.used, generation.parameters.asker
            generation.waiting = generation.prompt[known:]
            self.said.append((generation.listener, Begun(known)))

    def fill(self, most: int) -> tuple[list[Slot], int]:
        """Fill the batch: a token of each answer first, then prompts, the oldest first.

        Returns the slots that get a next token, and how many tokens are in the batch.
        """
        active = [slot for slot in self.slots if slot.generation]
        active.sort(key=lambda slot: (not slot.generation.written, slot.used))  # type: ignore[union-attr]
        ready, computed, room = [], 0, min(most, self.context.room)
        for slot in active:
            generation = slot.generation
            assert generation
            reading = generation.waiting[: self.context.room if generation.written else room]
            generation.waiting = generation.waiting[len(reading) :]
            is_ready = bool(reading) and not generation.waiting
            for i, token in enumerate(reading, 1):
                self.context.add(token, len(slot.tokens), slot.number, is_ready and i == len(reading))
                slot.tokens.append(token)
            room = min(room - len(reading) * (not generation.written), self.context.room)
            computed += len(reading)
            if is_ready:
                ready.append(slot)
        return ready, computed

    def go_on(self, slot: Slot, logits: Any) -> None:
        """Choose the next token of an answer by logits [vocabulary], and tell whoever listens."""
        generation = slot.generation
        assert generation
        try:
            token = generation.sampler.choose(logits)
        except ServingError as error:
            slot.generation = None
            self.said.append((generation.listener, error))
            return
        if self.context.is_end(token.id):
            self.end(slot, generation, Ended("stop", token.logprob))
            return
        generation.written += 1
        generation.waiting = [token.id]
        self.said.append((generation.listener, token))
        if generation.written >= generation.parameters.longest or len(slot.tokens) >= self.context.length:
            self.end(slot, generation, Ended("length"))

    def end(self, slot: Slot, generation: Generation, event: Ended) -> None:
        """Free a slot. Its tokens stay."""
        slot.generation = None
        self.said.append((generation.listener, event))

    def fail(self, error: ServingError) -> None:
        """Tell everybody that there will be no answer, and forget everything."""
        failed = [slot.generation for slot in self.slots if slot.generation]
        while self.queue:  # while others are added at its end
            failed.append(self.queue.popleft())
        tell([*self.said, *((generation.listener, error) for generation in failed)])
        self.said = []
        for slot in self.slots:
            slot.generation, slot.tokens = None, []
            self.context.forget(slot.number)

    def close(self) -> None:
        """Free the memory."""
        self.context.close()
