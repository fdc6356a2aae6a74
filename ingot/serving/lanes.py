"""The engine in this process: one memory-mapped base, a lane per route, and one thread that computes them in turn."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.inference.context import TOGETHER, Context
from ingot.inference.gguf_model import check_gguf
from ingot.serving.lane import Generation, Lane
from ingot.serving.protocol import (
    BASE,
    BusyError,
    Ended,
    Event,
    Parameters,
    ServingError,
    TooLongError,
    UnavailableError,
)
from ingot.serving.sampling import Sampler

LOG = logging.getLogger("ingot.serving")
SHARED = 128
"""So many tokens of prompts a lane reads at a time while another lane has work, so that nobody waits for long."""


def resident() -> int:
    """Return how many bytes of memory this process has at the moment."""
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * 4096


class Lanes:
    """Answers by all routes of a release. A lane is made when it is first needed, and evicted if memory runs out."""

    def __init__(
        self,
        model: Path,
        modifiers: dict[str, Path],
        *,
        length: int,
        parallel: int,
        threads: int,
        memory: int,
        most_waiting: int,
    ) -> None:
        """Load the GGUF file `model` and its `modifiers`, which are GGUF LoRA files by route.

        A lane answers `parallel` requests at a time, of `length` tokens each. The lanes may take `memory` bytes
        together; there is always room for one. At most `most_waiting` requests are open at a time.

        Raises InputError if a file is damaged, or if a modifier does not fit the model.
        """
        import llama_cpp

        self.api = llama_cpp
        self.length, self.parallel, self.threads = length, parallel, threads
        self.memory, self.most_waiting = memory, most_waiting
        check_gguf(model)
        # The log of llama.cpp is silent, but for errors, by this object.
        self.llama: Any = llama_cpp.Llama(str(model), n_gpu_layers=-1, n_ctx=8, verbose=False)
        self.adapters: dict[str, list[Any]] = {BASE: []}
        for route, path in modifiers.items():
            check_gguf(path)
            adapter = llama_cpp.llama_adapter_lora_init(self.llama.model, str(path).encode())
            if not adapter:
                raise InputError(f"{path}: llama.cpp cannot load it as a LoRA over {model}")
            self.adapters[route] = [adapter]
        self.routes = tuple(self.adapters)
        self.vocabulary = llama_cpp.llama_model_get_vocab(self.llama.model)
        self.lanes: dict[str, Lane] = {}
        self.lane_bytes = 0
        self.draining: str | None = None
        """The lane that takes no more requests, because another route waits for its memory."""
        self.evictions = 0
        self.tokens = 0
        self.incoming: deque[Generation] = deque()
        """Requests that the thread has not seen yet."""
        self.pending: dict[str, deque[Generation]] = {route: deque() for route in self.routes}
        """Requests whose lane is not there yet. Only the thread knows them."""
        self.open = 0
        self.changed = threading.Condition()
        self.ending = False
        self.thread = threading.Thread(target=self.run, name="lanes", daemon=True)
        self.thread.start()

    async def generate(self, route: str, tokens: list[int], parameters: Parameters) -> AsyncGenerator[Event, None]:
        """Yield Begun, the tokens of the answer, and Ended. ServingError if there is no answer.

        Raises InputError if the grammar cannot be compiled, and KeyError for a route that is not there.
        """
        if route not in self.adapters:
            raise KeyError(route)
        if len(tokens) >= self.length:
            raise TooLongError(
                f"the prompt has {len(tokens)} tokens, and prompt and answer have {self.length} together"
            )
        if self.open >= self.most_waiting or self.ending:
            raise BusyError("too many requests are waiting; try again later")
        events: asyncio.Queue[Event | ServingError] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def deliver(event: Event | ServingError) -> None:
            with suppress(RuntimeError):  # the event loop has ended, and nobody listens
                loop.call_soon_threadsafe(events.put_nowait, event)

        generation = None
        self.open += 1
        try:
            if parameters.grammar:  # to compile it takes a while
                sampler = await asyncio.to_thread(Sampler, self.vocabulary, parameters)
            else:
                sampler = Sampler(self.vocabulary, parameters)
            generation = Generation(route, tokens, parameters, sampler, deliver)
            with self.changed:
                self.incoming.append(generation)
                self.changed.notify()
            while True:
                event = await events.get()
                if isinstance(event, ServingError):
                    raise event
                yield event
                if isinstance(event, Ended):
                    return
        finally:
            self.open -= 1
            if generation:
                generation.cancelled = True

    def run(self) -> None:
        """Compute, in the thread of the lanes, until the end."""
        while True:
            with self.changed:
                while not (self.ending or self.has_work()):
                    self.changed.wait()
                if self.ending:
                    break
                while self.incoming:
                    generation = self.incoming.popleft()
                    self.pending[generation.route].append(generation)
            try:
                self.admit()
            except Exception as error:  # the thread must go on, for the other requests
                LOG.exception("no lane could be made")
                self.refuse_waiting(UnavailableError(f"no lane could be made: {error}"))
            working = [lane for lane in self.lanes.values() if lane.busy]
            if working:
                self.compute(min(working, key=lambda lane: lane.spent), len(working) > 1)
        for lane in self.lanes.values():
            lane.fail(UnavailableError("the server ends"))
            lane.close()
        self.lanes.clear()
        self.refuse_waiting(UnavailableError("the server ends"))

    def refuse_waiting(self, error: ServingError) -> None:
        """Tell all requests that have no lane yet that there will be no answer."""
        while self.incoming:
            self.incoming.popleft().deliver(error)
        for waiting in self.pending.values():
            for generation in waiting:
                generation.deliver(error)
            waiting.clear()

    def has_work(self) -> bool:
        """Tell whether a request waits, or is being answered."""
        return bool(self.incoming) or any(self.pending.values()) or any(lane.busy for lane in self.lanes.values())

    def admit(self) -> None:
        """Hand waiting requests to their lanes. A request waits on while there is no memory for its lane."""
        if not any(waiting for route, waiting in self.pending.items() if route not in self.lanes):
            self.draining = None  # nobody needs its memory any more
        for route, waiting in self.pending.items():
            while waiting and waiting[0].is_over(time.monotonic()):
                waiting.popleft()
            if waiting and route != self.draining and (lane := self.lane_of(route)):
                if not lane.busy:
                    # It has rested. Else it would now be the only one that computes, until it has caught up.
                    busy = [other.spent for other in self.lanes.values() if other.busy]
                    lane.spent = max(lane.spent, min(busy, default=0.0))
                lane.queue.extend(waiting)
                waiting.clear()

    def lane_of(self, route: str) -> Lane | None:
        """Return the lane of a route; make it if there is none. None if there is no memory for it yet."""
        if route not in self.lanes:
            while len(self.lanes) > 0 and (len(self.lanes) + 1) * self.lane_bytes > self.memory:
                if not self.evict():
                    return None
            try:
                self.lanes[route] = self.new_lane(route)
            except InputError as error:
                if self.lanes:
                    self.evict()
                else:
                    self.refuse_waiting(UnavailableError(str(error)))
                return None
        return self.lanes[route]

    def new_lane(self, route: str) -> Lane:
        """Make a lane, and note how much memory it takes: all lanes have the same shape."""
        before = resident()
        lane = Lane(Context(self.llama.model, self.length, self.parallel, self.threads), self.adapters[route])
        self.lane_bytes = max(self.lane_bytes, resident() - before)
        return lane

    def evict(self) -> bool:
        """Free the lane that was unused for longest. If all have work, one of them takes no more, to be freed later."""
        idle = [route for route, lane in self.lanes.items() if not lane.busy]
        if not idle:
            self.draining = self.draining or max(self.lanes, key=lambda route: self.lanes[route].spent)
            return False
        self.lanes.pop(min(idle, key=lambda route: self.lanes[route].used)).close()
        self.draining = None
        self.evictions += 1
        return True

    def compute(self, lane: Lane, shared: bool) -> None:
        """Compute a batch of a lane, and count the time for it. If the batch fails, so do the requests of the lane."""
        start = time.perf_counter()
        try:
            self.tokens += lane.step(SHARED if shared else TOGETHER)
        except Exception as error:  # the thread must go on, for the other lanes
            LOG.exception("a lane failed")
            lane.fail(UnavailableError(f"the model failed: {error}"))
        lane.spent += time.perf_counter() - start

    def figures(self) -> dict[str, Any]:
        """Tell what the lanes do at the moment."""
        return {
            "open": self.open,
            "lanes": len(self.lanes),
            "lane_bytes": self.lane_bytes * len(self.lanes),
            "evictions": self.evictions,
            "computed_tokens": self.tokens,
        }

    async def close(self) -> None:
        """End all answers and free the memory."""
        with self.changed:
            self.ending = True
            self.changed.notify()
        await asyncio.to_thread(self.thread.join)
        for adapters in self.adapters.values():
            for adapter in adapters:
                self.api.llama_adapter_lora_free(adapter)
        self.adapters.clear()
        self.llama.close()
