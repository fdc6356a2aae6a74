"""Merge the adapter into the base. The result is one dense model, which later steps can prune."""

import shutil
from pathlib import Path
from typing import Any

from ingot.io.records import read_json, write_json
from ingot.io.tensors import Tensors, write_tensors
from ingot.settings.adapter import Merge
from ingot.text.tokenizer_files import copy_tokenizer

GENERATION = "generation_config.json"
OF_PEFT = "base_model.model."
"""What peft puts before the names of a model's own modules."""


def updates_of(adapter: Path) -> dict[str, tuple[Any, Any]]:
    """Read the two factors of each update of a LoRA adapter: {name of the weight: (A [rank, in], B [out, rank])}."""
    from safetensors.torch import load_file

    factors = load_file(adapter / "adapter_model.safetensors")
    modules = [name.removesuffix(".lora_A.weight") for name in factors if name.endswith(".lora_A.weight")]
    return {
        f"{module.removeprefix(OF_PEFT)}.weight": (
            factors.pop(f"{module}.lora_A.weight"),
            factors.pop(f"{module}.lora_B.weight"),
        )
        for module in modules
    }


def merge(base: Path, adapter: Path, merged: Path, *, settings: Merge) -> None:
    """Write the sum of base and adapter as a checkpoint. It is computed in float32, and stored in `settings.dtype`.

    The update of a weight is B A alpha / rank (Hu et al. 2021, arXiv:2106.09685). One weight is in memory at a time.

    Raises RuntimeError if the adapter changes weights that the base does not have.
    """
    import torch
    from peft import LoraConfig

    weights, updates = Tensors(base), updates_of(adapter)
    lora = LoraConfig.from_pretrained(adapter)
    scaling = lora.lora_alpha / lora.r
    if unknown := sorted(set(updates) - set(weights.shapes)):
        raise RuntimeError(f"the adapter changes weights that {base} does not have: {unknown[:3]}")

    def merged_weight(name: str) -> Any:
        weight = weights[name]
        if name not in updates:
            return weight
        a, b = updates[name]
        update = b @ a * scaling
        return weight.float().add_(update.T if lora.fan_in_fan_out else update)

    dtype = getattr(torch, settings.dtype)
    write_tensors(merged, {name: (shape, dtype) for name, shape in weights.shapes.items()}, merged_weight)
    write_json(merged / "config.json", read_json(base / "config.json") | {"dtype": settings.dtype})
    if (base / GENERATION).exists():
        shutil.copyfile(base / GENERATION, merged / GENERATION)
    copy_tokenizer(base, merged)
