"""Measure how much each input of a matrix matters. Quantisation is most precise for the inputs that matter most."""

import sys
from pathlib import Path
from typing import Any

from ingot.converting.llama_cpp_tools import SOURCES
from ingot.inference.device import device
from ingot.io.progress import progress
from ingot.io.records import read_records, sample
from ingot.settings.gguf import Importance
from ingot.text import chat


def tensor_names(model: Any) -> dict[str, str]:
    """Find the layers that are quantised: {name of the module: name of the tensor in a GGUF file}."""
    sys.path[:0] = [str(SOURCES), str(SOURCES / "gguf-py")]
    import gguf
    import torch
    from conversion import get_model_class

    # The converter's own table: the names of models differ from those of their tensors (mistral's are llama's).
    architecture = get_model_class(type(model).__name__).model_arch
    names = gguf.get_tensor_name_map(architecture, model.config.num_hidden_layers)
    layers = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    gguf_names = {name: names.get_name(f"{name}.weight", try_suffixes=(".weight",)) for name in layers}
    return {name: gguf_name for name, gguf_name in gguf_names.items() if gguf_name and name != "lm_head"}


def importance(model: Path, train: Path, matrix: Path, *, settings: Importance, threads: int) -> None:
    """Write the importance matrix: for each tensor, the mean square of each input over some training conversations.

    The definition is that of llama.cpp's tools/imatrix. The file is in safetensors, with a float32 vector [inputs] for
    each GGUF tensor.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForCausalLM.from_pretrained(model, dtype="auto").to(device())
    names = tensor_names(network)
    sums: dict[str, Any] = {}
    tokens = 0

    def listen(name: str) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            rows = inputs[0].detach().reshape(-1, inputs[0].shape[-1]).float()
            sums[name] = sums.get(name, 0) + rows.square().sum(0)

        return hook

    for name, module in network.named_modules():
        if name in names:
            module.register_forward_hook(listen(names[name]))
    records = sample(list(read_records(train)), settings.records)
    with torch.no_grad():
        for record in progress(records, "importance", "record"):
            ids = chat.encode(tokenizer, record["instruction"], record["response"]).ids[: settings.length]
            network(torch.tensor([ids], device=network.device))
            tokens += len(ids)
    save_file({name: (total / tokens).cpu().contiguous() for name, total in sums.items()}, matrix)
