"""Measure which inputs of each matrix matter, so that quantisation spends its precision there (importance matrix)."""

import sys
from pathlib import Path
from typing import Any

from ingot.converting.llama_cpp_tools import SOURCES
from ingot.inference.device import device
from ingot.io.progress import progress
from ingot.io.records import read_records
from ingot.settings.gguf import Importance
from ingot.text import chat
from ingot.training.oneshot import sample


def tensor_names(model: Any) -> dict[str, str]:
    """Return {module name: GGUF tensor name} of the layers that are quantised."""
    sys.path.insert(0, str(SOURCES / "gguf-py"))
    import gguf
    import torch

    architecture = {name: key for key, name in gguf.MODEL_ARCH_NAMES.items()}[model.config.model_type]
    names = gguf.get_tensor_name_map(architecture, model.config.num_hidden_layers)
    layers = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    found = {name: names.get_name(f"{name}.weight", try_suffixes=(".weight",)) for name in layers}
    return {name: gguf_name for name, gguf_name in found.items() if gguf_name and name != "lm_head"}


def importance(model: Path, train: Path, matrix: Path, *, settings: Importance, threads: int) -> None:
    """Write, per GGUF tensor, the mean square of each input over some training conversations.

    The definition is llama.cpp's (tools/imatrix). Float32 vectors [inputs], in a safetensors file.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForCausalLM.from_pretrained(model, dtype="auto").to(device())
    names = tensor_names(network)
    sums: dict[str, Any] = {}
    seen = 0

    def listen(name: str) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            rows = inputs[0].detach().reshape(-1, inputs[0].shape[-1]).float()
            sums[name] = sums.get(name, 0) + rows.square().sum(0)

        return hook

    for name, module in network.named_modules():
        if name in names:
            module.register_forward_hook(listen(names[name]))
    chosen = sample(list(read_records(train)), settings.records)
    with torch.no_grad():
        for record in progress(chosen, "importance", "record"):
            ids = chat.encode(tokenizer, record["instruction"], record["response"]).ids[: settings.length]
            network(torch.tensor([ids], device=network.device))
            seen += len(ids)
    save_file({name: (total / seen).cpu().contiguous() for name, total in sums.items()}, matrix)
