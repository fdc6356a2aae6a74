"""Ask a GGUF model in this process. Its LoRA modifiers are applied and removed without loading it again."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.inference.answer import Answer, Backend
from ingot.inference.context import load_lora
from ingot.inference.decoding import Decoder


def check_gguf(path: Path) -> None:
    """Raise InputError if a GGUF file is cut off, and say where. llama.cpp itself says only that it failed."""
    from gguf import GGUFReader

    try:
        tensors = GGUFReader(path).tensors
    except (ValueError, IndexError, KeyError, OSError) as error:
        raise InputError(f"{path}: not a whole GGUF file ({error}); build or fetch it again") from None
    end = max((int(t.data_offset + t.n_bytes) for t in tensors), default=0)
    if path.stat().st_size < end:
        raise InputError(f"{path}: cut off at byte {path.stat().st_size}, {end} expected; build or fetch it again")


class GgufModel(Backend):
    """Answers questions with a memory-mapped GGUF file and, if told to, with one of its LoRA modifiers."""

    def __init__(self, model: Path, tokenizer: Any, context: int, threads: int, modifiers: dict[str, Path]) -> None:
        """Load the GGUF file `model` and its `modifiers`, which are GGUF LoRA files by name.

        `tokenizer` is the Hugging Face tokenizer. A question and its answer fit into `context` tokens.

        Raises InputError if a file is damaged, or if a modifier does not fit the model.
        """
        import llama_cpp

        check_gguf(model)
        self.tokenizer = tokenizer
        self.context = context
        self.llama: Any = llama_cpp.Llama(
            str(model),
            n_gpu_layers=-1,  # on the GPU, if llama.cpp was compiled for one
            n_ctx=8,  # tiny, because the decoder computes: this object only holds the model and tokenises
            verbose=False,
        )
        self.decoder = Decoder(self.llama.model, context, threads)
        self.adapters = {name: load_lora(self.llama.model, path) for name, path in modifiers.items()}

    def __del__(self) -> None:
        """Free the memory of the decoder before that of the model."""
        if hasattr(self, "decoder"):
            self.decoder.close()

    def use(self, modifier: str | None) -> None:
        """Apply `modifier` to the base, or none. The KV cache is cleared, so that no answer mixes two models."""
        self.decoder.use([self.adapters[modifier]] if modifier else [])

    def tokenize(self, text: str) -> list[int]:
        """Tokenise a text with llama.cpp. Special tokens in the text count as such."""
        return list(self.llama.tokenize(text.encode(), add_bos=False, special=True))

    def answered(self, prompts: list[str], limits: list[int], temperature: float) -> Iterator[tuple[int, Answer]]:
        """Yield (place of a prompt, its answer) as the answers end.

        The answer to a prompt that does not fit into the context is empty, with a confidence of 0.

        Raises InputError if there is a temperature: this backend cannot sample.
        """
        if temperature:
            raise InputError("GGUF models answer greedily here; ask without a temperature")
        ids = [self.tokenize(prompt) for prompt in prompts]
        fitting = [i for i, tokens in enumerate(ids) if len(tokens) < self.context]
        for i in sorted(set(range(len(ids))) - set(fitting)):
            yield i, Answer("", False, 0.0)
        for sequence in self.decoder.answers([ids[i] for i in fitting], [limits[i] for i in fitting]):
            # The Hugging Face tokenizer decodes: llama-cpp-python leaves out pieces of more than 32 bytes.
            text = self.tokenizer.decode(sequence.chosen, skip_special_tokens=True).strip()
            confidence = math.exp(sum(sequence.logprobs) / len(sequence.logprobs))
            yield fitting[sequence.place], Answer(text, sequence.stopped, confidence)

    def logits(self, ids: list[int]) -> Any:
        """Compute the logits [tokens, vocabulary] along token ids [tokens]."""
        return self.decoder.logits(ids)


def open_gguf(
    model: Path,
    tokenizer: Path,
    context: int,
    threads: int,
    modifiers: dict[str, Path] | None = None,
    work: Path | None = None,
) -> GgufModel:
    """Load a GGUF file. `tokenizer` is a folder with the tokenizer and the chat template that it was trained with."""
    from transformers import AutoTokenizer

    loaded = GgufModel(model, AutoTokenizer.from_pretrained(tokenizer), context, threads, modifiers or {})
    loaded.work = work
    return loaded
