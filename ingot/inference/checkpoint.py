"""Ask a Hugging Face checkpoint, many prompts at a time."""

import math
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingot.inference.answer import Answer, Backend
from ingot.inference.batch import Batch, keeps_columns
from ingot.inference.device import device

EMPTY = 0.25
"""Share of the places of a batch that may be empty. So many are filled at once."""


def load(folders: list[Path]) -> tuple[Any, Any]:
    """Load (model, tokenizer) from the folder of a checkpoint, or from those of a base and of an adapter over it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    fastest = device()
    dtype = torch.float32 if fastest == "cpu" else torch.bfloat16
    own_code = {"trust_remote_code": False}  # else transformers would ask
    model = AutoModelForCausalLM.from_pretrained(folders[0], dtype=dtype, device_map={"": fastest}, **own_code)
    if len(folders) > 1:
        from peft import PeftModel  # slow to import, and most checkpoints need none

        model = PeftModel.from_pretrained(model, folders[1])
    return model.eval(), AutoTokenizer.from_pretrained(folders[-1], **own_code)


class Checkpoint(Backend):
    """A model in memory that answers `batch` prompts at a time. Its answers have no confidence."""

    def __init__(self, folders: list[Path], batch: int, work: Path | None = None) -> None:
        """Load the folder of a checkpoint, or those of a base and an adapter."""
        self.model, self.tokenizer = load(folders)
        self.batch, self.work = batch, work

    def answered(self, prompts: list[str], limits: list[int], temperature: float) -> Iterator[tuple[int, Answer]]:
        """Yield (place of a prompt, its answer) as the answers end."""
        texts = [self.tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in prompts]
        write = self.write if keeps_columns(self.model) else self.generate
        for place, said in write(texts, limits, temperature):
            stopped = self.tokenizer.eos_token_id in said
            whole = said[: said.index(self.tokenizer.eos_token_id)] if stopped else said
            yield place, Answer(self.tokenizer.decode(whole, skip_special_tokens=True).strip(), stopped)

    def write(self, texts: list[list[int]], limits: list[int], temperature: float) -> Iterator[tuple[int, list[int]]]:
        """Yield (place of a text, the tokens written after it, the end token included) as they end.

        Some places of the batch may be empty before others fill them: to fill one takes a copy of all keys and values.
        """
        # Texts of similar length are read together, so that little of it is padding. The longest go first: if the batch
        # is too large for the memory, it fails at once.
        waiting = deque(sorted(range(len(texts)), key=lambda place: -len(texts[place])))
        batch, places = Batch(self.model, temperature), list[int]()
        said: dict[int, list[int]] = {}
        together = math.ceil(EMPTY * self.batch)
        while waiting or said:
            room = len(said) <= (self.batch - together if waiting else (1 - EMPTY) * len(places))
            if room:
                batch.keep([row for row, place in enumerate(places) if place in said])
                places = [place for place in places if place in said]
            if room and waiting:
                new = [waiting.popleft() for _ in range(min(len(waiting), together))]
                said |= {place: [] for place in new}
                places += new
                written = dict(zip(new, batch.add([texts[place] for place in new]), strict=True))
            else:
                written = dict(zip(places, batch.step(), strict=True))
            for place in [place for place in written if place in said]:
                said[place].append(written[place])
                if written[place] == self.tokenizer.eos_token_id or len(said[place]) == limits[place]:
                    yield place, said.pop(place)

    def generate(
        self, texts: list[list[int]], limits: list[int], temperature: float
    ) -> Iterator[tuple[int, list[int]]]:
        """Yield the same by transformers' own loop, in which a batch takes as long as its longest answer."""
        import torch

        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        self.tokenizer.padding_side = "left"
        places = sorted(range(len(texts)), key=lambda place: (-limits[place], -len(texts[place])))
        for start in range(0, len(places), self.batch):
            group = places[start : start + self.batch]
            padded = self.tokenizer.pad({"input_ids": [texts[place] for place in group]}, return_tensors="pt")
            with torch.no_grad():
                out = self.model.generate(
                    **padded.to(self.model.device),
                    max_new_tokens=limits[group[0]],
                    **(sampling if temperature else {"do_sample": False}),
                    eos_token_id=self.tokenizer.eos_token_id,
                    pad_token_id=self.tokenizer.pad_token_id,
                )
            for place, said in zip(group, out[:, padded["input_ids"].shape[1] :].tolist(), strict=True):
                yield place, said[: limits[place]]

    def logits(self, ids: list[int]) -> Any:
        """Compute the logits [tokens, vocabulary] along token ids [tokens]."""
        import torch

        with torch.no_grad():
            return self.model(input_ids=torch.tensor([ids], device=self.model.device)).logits[0].float().cpu().numpy()
