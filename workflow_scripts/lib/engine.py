"""A GGUF model in this process, with LoRA modifiers that are laid over it and taken off in place."""

import ctypes
import math
from pathlib import Path
from typing import Any

from lib import chat
from lib.measurement import Answer
from lib.progress import progress
from lib.records import InputError


def check_gguf(path: Path) -> None:
    """Raise InputError, with the offset, where a GGUF file is cut off; llama.cpp itself only says that it failed."""
    from gguf import GGUFReader

    try:
        tensors = GGUFReader(path).tensors
    except (ValueError, IndexError, KeyError, OSError) as error:
        raise InputError(f"{path}: not a whole GGUF file ({error}); build or fetch it again") from None
    end = max((int(t.data_offset + t.n_bytes) for t in tensors), default=0)
    if path.stat().st_size < end:
        raise InputError(f"{path}: cut off at byte {path.stat().st_size}, {end} expected; build or fetch it again")


class Engine:
    """Answers questions with one memory-mapped GGUF and, when told so, one of its LoRA modifiers."""

    def __init__(self, model: Path, tokenizer: Any, context: int, threads: int, modifiers: dict[str, Path]) -> None:
        """Load `model` and its `modifiers` (GGUF LoRA files by name); `tokenizer` is the Hugging Face one."""
        import llama_cpp

        check_gguf(model)
        self.api = llama_cpp
        self.tokenizer = tokenizer
        self.llama: Any = llama_cpp.Llama(
            str(model),
            n_gpu_layers=-1,  # on the GPU, where llama.cpp was compiled for one
            n_ctx=context,
            n_threads=threads,
            n_threads_batch=threads,
            logits_all=True,
            verbose=False,
            seed=0,
        )
        self.adapters = {}
        for name, path in modifiers.items():
            adapter = llama_cpp.llama_adapter_lora_init(self.llama.model, str(path).encode())
            if not adapter:
                raise InputError(f"{path}: llama.cpp cannot load it as a LoRA over {model}")
            self.adapters[name] = adapter

    def use(self, modifier: str | None) -> None:
        """Lay `modifier` over the base, or none; the KV cache is cleared, or an answer would mix two models."""
        chosen = [self.adapters[modifier]] if modifier else []
        pointers = (self.api.llama_adapter_lora_p_ctypes * len(chosen))(*chosen) if chosen else None
        scales = (ctypes.c_float * len(chosen))(*[1.0] * len(chosen)) if chosen else None
        if self.api.llama_set_adapters_lora(self.llama.ctx, pointers, len(chosen), scales):
            raise RuntimeError(f"llama.cpp refused the modifier {modifier!r}")
        self.api.llama_memory_clear(self.api.llama_get_memory(self.llama.ctx), True)
        self.llama.reset()

    def tokenize(self, text: str) -> list[int]:
        """Return llama.cpp's token ids of a text that may hold special tokens."""
        return list(self.llama.tokenize(text.encode(), add_bos=False, special=True))

    def complete(self, prompts: list[str], longest: int) -> list[Answer]:
        """Answer rendered prompts greedily with at most `longest` tokens each."""
        return [self.complete_one(prompt, longest) for prompt in progress(prompts, "answers", "question")]

    def complete_one(self, prompt: str, longest: int) -> Answer:
        """Answer one rendered prompt; its confidence is the geometric mean of the probabilities of its tokens."""
        ids = self.tokenize(prompt)
        if len(ids) >= self.llama.n_ctx():
            return Answer("", False, 0.0)  # a question that does not fit is not answered
        out = self.llama.create_completion(ids, max_tokens=longest, temperature=0, logprobs=1)
        choice = out["choices"][0]
        chances = choice["logprobs"]["token_logprobs"]
        confidence = math.exp(sum(chances) / len(chances)) if chances else 0.0
        return Answer(choice["text"].strip(), choice["finish_reason"] == "stop", confidence)

    def ask(self, instructions: list[str], longest: int) -> list[Answer]:
        """Answer questions as `complete` does."""
        return self.complete([chat.prompt_text(self.tokenizer, text) for text in instructions], longest)

    def logits(self, ids: list[int]) -> Any:
        """Return logits [t, vocabulary] along token ids [t]."""
        self.llama.reset()
        self.llama.eval(ids)
        return self.llama.scores[: len(ids)].copy()


def open_engine(
    model: Path, checkpoint: Path, context: int, threads: int, modifiers: dict[str, Path] | None = None
) -> Engine:
    """Load a GGUF with the tokenizer and chat template of the checkpoint that it was made from."""
    from transformers import AutoTokenizer

    return Engine(model, AutoTokenizer.from_pretrained(checkpoint), context, threads, modifiers or {})
