"""Greedy decoding of several sequences at a time with llama.cpp: as one ends, the next prompt takes its place."""

import ctypes
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ingot.errors import InputError

PARALLEL = 16
"""Sequences that are answered together."""
TOGETHER = 512
"""Tokens that are computed together, of all sequences."""


@dataclass
class Sequence:
    """A prompt that is being answered: `place` in the order of the prompts, `slot` in the KV cache."""

    place: int
    slot: int
    waiting: list[int]  # tokens that the model has not seen yet: the prompt, then the last one chosen
    length: int = 0  # tokens that it has seen
    chosen: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stopped: bool = False


class Decoder:
    """A context of llama.cpp with room for `PARALLEL` sequences of `context` tokens each."""

    def __init__(self, model: Any, context: int, threads: int) -> None:
        """Open a context of a loaded model (`llama_model_p`), which must outlive it."""
        import llama_cpp

        self.api = llama_cpp
        self.context = context
        vocabulary = llama_cpp.llama_model_get_vocab(model)
        self.is_end: Callable[[int], bool] = lambda token: llama_cpp.llama_vocab_is_eog(vocabulary, token)
        self.width = llama_cpp.llama_vocab_n_tokens(vocabulary)
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = context * PARALLEL
        settings.n_seq_max = PARALLEL
        settings.n_batch = settings.n_ubatch = TOGETHER
        settings.n_threads = settings.n_threads_batch = threads
        settings.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.pointer = llama_cpp.llama_init_from_model(model, settings)
        if not self.pointer:
            raise InputError(f"llama.cpp cannot open a context of {context} tokens; lower `context`")
        self.memory = llama_cpp.llama_get_memory(self.pointer)
        self.batch = llama_cpp.llama_batch_init(TOGETHER, 0, 1)

    def close(self) -> None:
        """Give the memory back; the decoder cannot be used any more."""
        self.api.llama_batch_free(self.batch)
        self.api.llama_free(self.pointer)

    def use(self, adapters: list[Any]) -> None:
        """Lay LoRA adapters over the base, or none, and forget all sequences: the two models must not mix."""
        pointers = (self.api.llama_adapter_lora_p_ctypes * len(adapters))(*adapters) if adapters else None
        scales = (ctypes.c_float * len(adapters))(*[1.0] * len(adapters)) if adapters else None
        if self.api.llama_set_adapters_lora(self.pointer, pointers, len(adapters), scales):
            raise RuntimeError("llama.cpp refused the adapters")
        self.api.llama_memory_clear(self.memory, True)

    def add(self, token: int, position: int, slot: int, wanted: bool) -> None:
        """Put a token into the batch; `wanted` asks for the logits after it."""
        i = self.batch.n_tokens
        self.batch.token[i], self.batch.pos[i] = token, position
        self.batch.n_seq_id[i], self.batch.seq_id[i][0] = 1, slot
        self.batch.logits[i] = wanted
        self.batch.n_tokens = i + 1

    def run(self, outputs: int) -> Any:
        """Compute the batch, empty it, and return the logits that were asked for, [outputs, vocabulary]."""
        import numpy as np

        if status := self.api.llama_decode(self.pointer, self.batch):
            raise RuntimeError(f"llama.cpp could not compute a batch (status {status})")
        self.batch.n_tokens = 0
        if not outputs:
            return np.empty((0, self.width), dtype=np.float32)
        logits: Any = np.ctypeslib.as_array(self.api.llama_get_logits(self.pointer), (outputs, self.width))
        return logits.copy()

    def answers(self, prompts: list[list[int]], longest: int) -> Iterator[Sequence]:
        """Yield a sequence for every prompt (token ids, at least one and fewer than `context`), as they end."""
        waiting = deque(enumerate(prompts))
        free = list(range(PARALLEL))
        active: list[Sequence] = []
        while waiting or active:
            while waiting and free:
                place, ids = waiting.popleft()
                active.append(Sequence(place, free.pop(), list(ids)))
            asked = self.fill(active)
            self.choose(asked, self.run(len(asked)))
            for sequence in asked:
                if sequence.stopped or len(sequence.chosen) >= longest or sequence.length >= self.context:
                    active.remove(sequence)
                    free.append(sequence.slot)
                    self.api.llama_memory_seq_rm(self.memory, sequence.slot, -1, -1)
                    yield sequence

    def fill(self, active: list[Sequence]) -> list[Sequence]:
        """Fill the batch, in the order of the sequences, and return those whose next token it will tell."""
        asked = []
        for sequence in active:
            now = sequence.waiting[: TOGETHER - self.batch.n_tokens]
            sequence.waiting = sequence.waiting[len(now) :]
            complete = bool(now) and not sequence.waiting
            for i, token in enumerate(now, 1):
                self.add(token, sequence.length, sequence.slot, complete and i == len(now))
                sequence.length += 1
            if complete:
                asked.append(sequence)
        return asked

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
        """Return logits [t, vocabulary] along token ids [t]."""
        import numpy as np

        self.api.llama_memory_clear(self.memory, True)
        parts = []
        for start in range(0, len(ids), TOGETHER):
            part = ids[start : start + TOGETHER]
            for i, token in enumerate(part):
                self.add(token, start + i, 0, True)
            parts.append(self.run(len(part)))
        self.api.llama_memory_clear(self.memory, True)
        return np.concatenate(parts)
