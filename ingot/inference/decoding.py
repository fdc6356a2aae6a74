"""Decode several sequences at a time with llama.cpp, greedily. When one ends, the next prompt takes its place."""

import ctypes
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ingot.errors import InputError

PARALLEL = 16
"""How many sequences are decoded together."""
TOGETHER = 512
"""How many tokens are computed together, over all sequences."""


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


class Decoder:
    """A context of llama.cpp with room for `PARALLEL` sequences of `context` tokens each."""

    def __init__(self, model: Any, context: int, threads: int) -> None:
        """Open a context of a loaded model (`llama_model_p`), which must stay loaded until `close`.

        Raises InputError if llama.cpp cannot open it, mostly for lack of memory.
        """
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
        """Free the memory. The decoder cannot be used after this."""
        self.api.llama_batch_free(self.batch)
        self.api.llama_free(self.pointer)

    def use(self, adapters: list[Any]) -> None:
        """Apply LoRA adapters to the base, or none. All sequences are forgotten, so that no answer mixes two models."""
        pointers = (self.api.llama_adapter_lora_p_ctypes * len(adapters))(*adapters) if adapters else None
        scales = (ctypes.c_float * len(adapters))(*[1.0] * len(adapters)) if adapters else None
        if self.api.llama_set_adapters_lora(self.pointer, pointers, len(adapters), scales):
            raise RuntimeError("llama.cpp refused the adapters")
        self.api.llama_memory_clear(self.memory, True)

    def add(self, token: int, position: int, slot: int, wanted: bool) -> None:
        """Put a token into the batch. If `wanted`, the logits after it will be computed."""
        i = self.batch.n_tokens
        self.batch.token[i], self.batch.pos[i] = token, position
        self.batch.n_seq_id[i], self.batch.seq_id[i][0] = 1, slot
        self.batch.logits[i] = wanted
        self.batch.n_tokens = i + 1

    def run(self, outputs: int) -> Any:
        """Compute the batch and empty it. Return the logits of the tokens that wanted them, [outputs, vocabulary]."""
        import numpy as np

        if status := self.api.llama_decode(self.pointer, self.batch):
            raise RuntimeError(f"llama.cpp could not compute a batch (status {status})")
        self.batch.n_tokens = 0
        if not outputs:
            return np.empty((0, self.width), dtype=np.float32)
        logits: Any = np.ctypeslib.as_array(self.api.llama_get_logits(self.pointer), (outputs, self.width))
        return logits.copy()

    def answers(self, prompts: list[list[int]], longest: int) -> Iterator[Sequence]:
        """Answer prompts with at most `longest` tokens each. Yield their sequences in the order in which they end.

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
                if sequence.stopped or len(sequence.chosen) >= longest or sequence.length >= self.context:
                    active.remove(sequence)
                    free_slots.append(sequence.slot)
                    self.api.llama_memory_seq_rm(self.memory, sequence.slot, -1, -1)
                    yield sequence

    def fill(self, active: list[Sequence]) -> list[Sequence]:
        """Fill the batch with waiting tokens, in the order of the sequences.

        Returns the sequences that have no token waiting any more: the batch computes their next token.
        """
        ready = []
        for sequence in active:
            fitting = sequence.waiting[: TOGETHER - self.batch.n_tokens]
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
        for start in range(0, len(ids), TOGETHER):
            part = ids[start : start + TOGETHER]
            for i, token in enumerate(part):
                self.add(token, start + i, 0, True)
            logits.append(self.run(len(part)))
        self.api.llama_memory_clear(self.memory, True)
        return np.concatenate(logits)
