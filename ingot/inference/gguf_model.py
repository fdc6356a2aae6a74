"""A GGUF model in this process, with LoRA modifiers that are laid over it and taken off in place."""

import math
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.inference.answer import Answer
from ingot.inference.decoding import Decoder
from ingot.io.progress import progress


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


class GgufModel:
    """Answers questions with one memory-mapped GGUF and, when told so, one of its LoRA modifiers."""

    def __init__(self, model: Path, tokenizer: Any, context: int, threads: int, modifiers: dict[str, Path]) -> None:
        """Load `model` and its `modifiers` (GGUF LoRA files by name); `tokenizer` is the Hugging Face one."""
        import llama_cpp

        check_gguf(model)
        self.tokenizer = tokenizer
        self.context = context
        self.llama: Any = llama_cpp.Llama(
            str(model),
            n_gpu_layers=-1,  # on the GPU, where llama.cpp was compiled for one
            n_ctx=8,  # it holds the model and tokenises; the decoder computes
            verbose=False,
        )
        self.decoder = Decoder(self.llama.model, context, threads)
        self.adapters = {}
        for name, path in modifiers.items():
            adapter = llama_cpp.llama_adapter_lora_init(self.llama.model, str(path).encode())
            if not adapter:
                raise InputError(f"{path}: llama.cpp cannot load it as a LoRA over {model}")
            self.adapters[name] = adapter

    def __del__(self) -> None:
        """Give the decoder's memory back before that of the model."""
        if hasattr(self, "decoder"):
            self.decoder.close()

    def use(self, modifier: str | None) -> None:
        """Lay `modifier` over the base, or none; the KV cache is cleared, or an answer would mix two models."""
        self.decoder.use([self.adapters[modifier]] if modifier else [])

    def tokenize(self, text: str) -> list[int]:
        """Return llama.cpp's token ids of a text that may hold special tokens."""
        return list(self.llama.tokenize(text.encode(), add_bos=False, special=True))

    def complete(self, prompts: list[str], longest: int, temperature: float = 0.0) -> list[Answer]:
        """Answer rendered prompts greedily with at most `longest` tokens each; there is no sampling (`temperature`).

        The confidence of an answer is the geometric mean of the probabilities of its tokens. A question that does not
        fit into the context is not answered.
        """
        if temperature:
            raise InputError("GGUF models answer greedily here; ask without a temperature")
        ids = [self.tokenize(prompt) for prompt in prompts]
        answers = [Answer("", False, 0.0)] * len(prompts)
        fitting = [i for i, tokens in enumerate(ids) if len(tokens) < self.context]
        found = self.decoder.answers([ids[i] for i in fitting], longest)
        for sequence in progress(found, "answers", "question", len(fitting)):
            # By the tokenizer: llama-cpp-python's own way leaves out pieces of over 32 bytes.
            text = self.tokenizer.decode(sequence.chosen, skip_special_tokens=True).strip()
            confidence = math.exp(sum(sequence.logprobs) / len(sequence.logprobs))
            answers[fitting[sequence.place]] = Answer(text, sequence.stopped, confidence)
        return answers

    def logits(self, ids: list[int]) -> Any:
        """Return logits [t, vocabulary] along token ids [t]."""
        return self.decoder.logits(ids)


def open_gguf(
    model: Path, tokenizer: Path, context: int, threads: int, modifiers: dict[str, Path] | None = None
) -> GgufModel:
    """Load a GGUF file; `tokenizer` is a folder with the tokenizer and chat template that it was trained with."""
    from transformers import AutoTokenizer

    return GgufModel(model, AutoTokenizer.from_pretrained(tokenizer), context, threads, modifiers or {})
