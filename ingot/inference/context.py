"""A context of llama.cpp: the memory of some sequences over a loaded model, and the batch that is computed next."""

import ctypes
from pathlib import Path
from typing import Any

from ingot.errors import InputError

TOGETHER = 512
"""How many tokens are computed together, over all sequences."""


def load_lora(model: Any, path: Path) -> Any:
    """Load a GGUF LoRA file for a loaded model (`llama_model_p`). InputError if llama.cpp refuses it."""
    import llama_cpp

    adapter = llama_cpp.llama_adapter_lora_init(model, str(path).encode())
    if not adapter:
        raise InputError(f"{path}: llama.cpp cannot load it as a LoRA over this model; fetch or build both again")
    return adapter


class Context:
    """Room for `sequences` sequences of `length` tokens each, over weights that other contexts may share."""

    def __init__(self, model: Any, length: int, sequences: int, threads: int) -> None:
        """Open a context of a loaded model (`llama_model_p`), which must stay loaded until `close`.

        Raises InputError if llama.cpp cannot open it, mostly for lack of memory.
        """
        import llama_cpp

        self.api = llama_cpp
        self.length, self.sequences = length, sequences
        self.vocabulary = llama_cpp.llama_model_get_vocab(model)
        self.width = llama_cpp.llama_vocab_n_tokens(self.vocabulary)
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = length * sequences
        settings.n_seq_max = sequences
        settings.n_batch = settings.n_ubatch = TOGETHER
        settings.n_threads = settings.n_threads_batch = threads
        # With it, an answer would depend on how many threads compute it, and on what is computed beside it.
        settings.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.pointer = llama_cpp.llama_init_from_model(model, settings)
        if not self.pointer:
            raise InputError(f"llama.cpp cannot open a context of {length} tokens; lower `context`")
        self.memory = llama_cpp.llama_get_memory(self.pointer)
        self.batch = llama_cpp.llama_batch_init(TOGETHER, 0, 1)

    def close(self) -> None:
        """Free the memory. The context cannot be used after this."""
        self.api.llama_batch_free(self.batch)
        self.api.llama_free(self.pointer)

    def is_end(self, token: int) -> bool:
        """Tell whether a token ends an answer."""
        return bool(self.api.llama_vocab_is_eog(self.vocabulary, token))

    def use(self, adapters: list[Any]) -> None:
        """Apply LoRA adapters to the base, or none. All sequences are forgotten, so that no answer mixes two models."""
        pointers = (self.api.llama_adapter_lora_p_ctypes * len(adapters))(*adapters) if adapters else None
        scales = (ctypes.c_float * len(adapters))(*[1.0] * len(adapters)) if adapters else None
        if self.api.llama_set_adapters_lora(self.pointer, pointers, len(adapters), scales):
            raise RuntimeError("llama.cpp refused the adapters")
        self.api.llama_memory_clear(self.memory, True)

    def compute_on(self, threads: int) -> None:
        """Compute the next batches on so many threads. Their results stay the same to the last bit."""
        self.api.llama_set_n_threads(self.pointer, threads, threads)

    def forget(self, slot: int, start: int = 0) -> bool:
        """Forget the tokens of a sequence from a position on. False if this kind of model cannot forget only a part."""
        return bool(self.api.llama_memory_seq_rm(self.memory, slot, start, -1))

    def add(self, token: int, position: int, slot: int, wanted: bool) -> None:
        """Put a token into the batch. If `wanted`, the logits after it will be computed."""
        i = self.batch.n_tokens
        self.batch.token[i], self.batch.pos[i] = token, position
        self.batch.n_seq_id[i], self.batch.seq_id[i][0] = 1, slot
        self.batch.logits[i] = wanted
        self.batch.n_tokens = i + 1

    @property
    def room(self) -> int:
        """How many tokens still fit into the batch."""
        return TOGETHER - int(self.batch.n_tokens)

    def run(self, outputs: int) -> Any:
        """Compute the batch and empty it. Return the logits of the tokens that wanted them, [outputs, vocabulary].

        They are llama.cpp's own memory, which the next batch overwrites.
        """
        import numpy as np

        status = self.api.llama_decode(self.pointer, self.batch)
        self.batch.n_tokens = 0
        if status:
            raise RuntimeError(f"llama.cpp could not compute a batch (status {status})")
        if not outputs:
            return np.empty((0, self.width), dtype=np.float32)
        return np.ctypeslib.as_array(self.api.llama_get_logits(self.pointer), (outputs, self.width))
