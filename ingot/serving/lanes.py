"""The engine in this process: one memory-mapped base, a lane per route, and threads that compute them side by side."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.inference.context import TOGETHER, Context, load_lora
from ingot.serving.lane import Generation, Lane, Listener, tell
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
"""So many tokens of prompts a lane reads at a time while another one waits for its turn."""
WORTH_A_CORE = 20_000_000
"""Tokens times weights of a batch that are worth a core of its own. For less, cores wait longer for each other."""


def resident() -> int:
    """Return how many bytes of memory this process has at the moment."""
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * 4096


class Lanes:
    """Answers by all routes of a release. A lane is made when it is first needed, and evicted if memory runs out.

    Lanes that have work share the cores. How many cores compute a batch does not change a bit of the answer.
    """

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
        self.length, self.parallel = length, parallel
        self.memory, self.most_waiting = memory, most_waiting
        try:
            # The log of llama.cpp is silent, but for errors, by this object.
            self.llama: Any = llama_cpp.Llama(str(model), n_gpu_layers=-1, n_ctx=8, verbose=False)
        except ValueError as error:
            raise InputError(f"{model}: {error}; fetch or build it again") from None
        loras = {route: [load_lora(self.llama.model, path)] for route, path in modifiers.items()}
        self.adapters: dict[str, list[Any]] = {BASE: [], **loras}
        self.routes = tuple(self.adapters)
        self.vocabulary = llama_cpp.llama_model_get_vocab(self.llama.model)
        self.lanes: dict[str, Lane] = {}
        self.lane_bytes = 0
        self.draining: str | None = None
        """The lane that takes no more requests, because another route waits for its memory."""
        self.evictions = 0
        self.tokens = 0
        self.pending: dict[str, deque[Generation]] = {route: deque() for route in self.routes}
        """Requests that have not reached their lane yet."""
        self.open = 0
        self.weights = llama_cpp.llama_model_n_params(self.llama.model)
        self.cores = threads
        """How many are free."""
        self.turn = threading.Lock()
        """Whoever has it chooses a lane, and makes or frees lanes."""
        self.compiling = threading.Lock()
        """Whoever has it compiles a grammar, which needs the vocabulary."""
        self.clock = 0.0
        """The least that a lane with work has computed. It never goes back, so that no lane lives on its past."""
        self.changed = threading.Condition()
        self.news = 0
        """Counts what may give a resting thread something to do."""
        self.ending = False
        self.workers = [
            threading.Thread(target=self.run, name=f"lanes-{i}", daemon=True)
            for i in range(min(threads, len(self.routes)))
        ]
        for worker in self.workers:
            worker.start()

    async def generate(self, route: str, tokens: list[int], parameters: Parameters) -> AsyncGenerator[Event, None]:
        """Yield Begun, the tokens of the answer, and Ended. ServingError if there is no answer.

        Raises InputError if the grammar cannot be compiled, and KeyError for a route that is not there.
        """
        if self.ending:
            raise UnavailableError("the server ends")
        if route not in self.routes:
            raise KeyError(route)
        if len(tokens) >= self.length:
            raise TooLongError(
                f"the prompt has {len(tokens)} tokens, and prompt and answer have {self.length} together"
            )
        if self.open >= self.most_waiting:
            raise BusyError("too many requests are waiting; try again later")
        events: asyncio.Queue[Event | ServingError] = asyncio.Queue()
        listener = Listener(asyncio.get_running_loop(), events)
        generation = None
        self.open += 1
        try:
            if parameters.grammar:  # to compile it takes a while
                sampler = await asyncio.to_thread(self.compiled, parameters)
            else:
                sampler = Sampler(self.vocabulary, parameters)
            generation = Generation(route, tokens, parameters, sampler, listener)
            self.pending[route].append(generation)
            self.wake()
            if self.ending:
                raise UnavailableError("the server ends")
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

    def compiled(self, parameters: Parameters) -> Sampler:
        """Make what chooses the tokens of an answer in a grammar, as long as the vocabulary is there."""
        with self.compiling:
            if self.ending:
                raise UnavailableError("the server ends")
            return Sampler(self.vocabulary, parameters)

    def wake(self) -> None:
        """Wake a resting thread."""
        with self.changed:
            self.news += 1
            self.changed.notify()

    def run(self) -> None:
        """Compute one batch after the other, in one of the threads, until the end."""
        while not self.ending:
            seen = self.news
            with self.turn:
                picked = self.pick()
            if picked:
                self.compute(*picked)
            else:
                with self.changed:
                    while self.news == seen and not self.ending:
                        self.changed.wait()

    def pick(self) -> tuple[Lane, int, int] | None:
        """Choose the lane that has computed least: (it, its cores, tokens of prompts at most). None if none can go."""
        try:
            self.admit()
        except Exception as error:  # the thread must go on, for the other requests
            LOG.exception("no lane could be made")
            self.refuse_waiting(UnavailableError(f"no lane could be made: {error}"))
        ready = [lane for lane in self.lanes.values() if lane.busy and not lane.cores]
        if not ready or not self.cores:
            return None
        self.clock = max(self.clock, min(lane.spent for lane in self.lanes.values() if lane.busy or lane.cores))
        lane = min(ready, key=lambda lane: lane.spent)
        most = SHARED if len(ready) > 1 else TOGETHER
        worth = min(lane.ahead, most) * self.weights // WORTH_A_CORE
        lane.cores = max(1, min(self.cores // len(ready), worth))
        self.cores -= lane.cores
        if self.cores and len(ready) > 1:
            self.wake()
        return lane, lane.cores, most

    def refuse_waiting(self, error: ServingError) -> None:
        """Tell all requests that have no lane yet that there will be no answer."""
        for waiting in self.pending.values():
            while waiting:
                tell([(waiting.popleft().listener, error)])

    def admit(self) -> None:
        """Hand waiting requests to their lanes. A request waits on while there is no memory for its lane."""
        for waiting in self.pending.values():
            while waiting and waiting[0].is_over(time.monotonic()):
                waiting.popleft()
        if not any(waiting for route, waiting in self.pending.items() if route not in self.lanes):
            self.draining = None  # nobody needs its memory any more
        for route, waiting in self.pending.items():
            if waiting and route != self.draining and (lane := self.lane_of(route)):
                if not lane.busy:
                    # It has rested. Else it would now be the only one that computes, until it has caught up.
                    lane.spent = max(lane.spent, self.clock)
                while waiting:
                    lane.queue.append(waiting.popleft())

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
                    return self.lane_of(route) if self.evict() else None
                self.refuse_waiting(UnavailableError(str(error)))
                return None
        return self.lanes[route]

    def new_lane(self, route: str) -> Lane:
        """Make a lane, and note how much memory it takes: all lanes have the same shape."""
        before = resident()
        lane = Lane(Context(self.llama.model, self.length, self.parallel, threads=1), self.adapters[route])
        self.lane_bytes = max(self.lane_bytes, resident() - before)
        return lane

    def evict(self) -> bool:
        """Free the lane that was unused for longest. If all have work, one of them takes no more, to be freed later."""
        idle = [route for route, lane in self.lanes.items() if not (lane.busy or lane.cores)]
        if not idle:
            self.draining = self.draining or max(self.lanes, key=lambda route: self.lanes[route].spent)
            return False
        self.lanes.pop(min(idle, key=lambda route: self.lanes[route].used)).close()
        self.draining = None
        self.evictions += 1
        return True

    def compute(self, lane: Lane, cores: int, most: int) -> None:
        """Compute a batch of a lane, and count the time for it. If the batch fails, so do the requests of the lane."""
        start, computed = time.perf_counter(), 0
        try:
            computed = lane.step(most, cores)
        except Exception as error:  # the thread must go on, for the other lanes
            LOG.exception("a lane failed")
            lane.fail(UnavailableError(f"the model failed: {error}"))
        finally:
            spent = cores * (time.perf_counter() - start)
            with self.turn:
                lane.spent += spent
                lane.cores = 0
                self.cores += cores
                self.tokens += computed

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
            self.changed.notify_all()
        await asyncio.to_thread(self.end)

    def end(self) -> None:
        """Wait for the threads, tell everybody that there will be no answer, and free the memory."""
        for worker in self.workers:
            worker.join()
        error = UnavailableError("the server ends")
        for lane in self.lanes.values():
            lane.fail(error)
            lane.close()
        self.lanes.clear()
        self.refuse_waiting(error)
        for adapters in self.adapters.values():
            for adapter in adapters:
                self.api.llama_adapter_lora_free(adapter)
        self.adapters.clear()
        with self.compiling:
            self.llama.close()
