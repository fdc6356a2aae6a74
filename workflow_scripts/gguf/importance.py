"""Measure how much each input of a matrix matters. Quantisation is most precise for the inputs that matter most."""

import time
from pathlib import Path
from typing import Any

from ingot.converting.counterparts import name_map
from ingot.inference.device import device
from ingot.io.progress import progress
from ingot.io.records import read_records, sample
from ingot.settings.gguf import Importance
from ingot.text import chat

SECONDS = 60.0
"""What a kill may cost."""


def tensor_names(model: Any) -> dict[str, str]:
    """Find the layers that are quantised: {name of the module: name of the tensor in a GGUF file}."""
    import torch

    names = name_map(model)
    layers = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    gguf_names = {name: names.get_name(f"{name}.weight", try_suffixes=(".weight",)) for name in layers}
    return {name: gguf_name for name, gguf_name in gguf_names.items() if gguf_name and name != "lm_head"}


class Sums:
    """For each tensor the sum of the squares of each input, kept in a file, so that a run that was killed goes on."""

    def __init__(self, file: Path) -> None:
        """Read what an earlier run has summed up."""
        from safetensors import safe_open

        self.file, self.kept = file, time.monotonic()
        self.of: dict[str, Any] = {}
        self.records, self.tokens = 0, 0
        if file.exists():
            with safe_open(file, "pt") as found:
                self.of = {name: found.get_tensor(name) for name in found.keys()}  # noqa: SIM118
                self.records, self.tokens = (int(found.metadata()[name]) for name in ("records", "tokens"))

    def add(self, name: str, rows: Any) -> None:
        """Add inputs [tokens, inputs] of a tensor."""
        squares = rows.float().square().sum(0)
        self.of[name] = self.of[name].to(squares.device) + squares if name in self.of else squares

    def keep_now_and_then(self) -> None:
        """Write everything, whole or not at all, if it was written long ago."""
        from safetensors.torch import save_file

        if time.monotonic() - self.kept >= SECONDS:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            partial = self.file.with_suffix(".partial")
            sums = {name: total.cpu().contiguous() for name, total in self.of.items()}
            save_file(sums, partial, {"records": str(self.records), "tokens": str(self.tokens)})
            partial.rename(self.file)
            self.kept = time.monotonic()


def importance(model: Path, train: Path, matrix: Path, work: Path, *, settings: Importance, threads: int) -> None:
    """Write the importance matrix: for each tensor, the mean square of each input over some training conversations.

    The definition is that of llama.cpp's tools/imatrix. The file is in safetensors, with a float32 vector [inputs] for
    each GGUF tensor. A run that was killed goes on from what is in `work`.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForCausalLM.from_pretrained(model, dtype="auto").to(device())
    names = tensor_names(network)
    sums = Sums(work / "sums.safetensors")

    def listen(name: str) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            sums.add(name, inputs[0].detach().reshape(-1, inputs[0].shape[-1]))

        return hook

    for name, module in network.named_modules():
        if name in names:
            module.register_forward_hook(listen(names[name]))
    records = sample(list(read_records(train)), settings.records)
    with torch.no_grad():
        for record in progress(records[sums.records :], "importance", "record"):
            ids = chat.encode(tokenizer, record["instruction"], record["response"]).ids[: settings.length]
            network(torch.tensor([ids], device=network.device))
            sums.records, sums.tokens = sums.records + 1, sums.tokens + len(ids)
            sums.keep_now_and_then()
    save_file({name: (total / sums.tokens).cpu().contiguous() for name, total in sums.of.items()}, matrix)
