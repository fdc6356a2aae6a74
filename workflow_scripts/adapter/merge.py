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


OTHER_KINDS = ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "modules_to_save")
"""What peft's adapters may be beyond a plain LoRA."""


def updates_of(adapter: Path) -> dict[str, tuple[Any, Any]]:
    """Read the two factors of each update of a LoRA adapter: {name of the weight: (A [rank, in], B [out, rank])}."""
    from safetensors.torch import load_file

    factors = load_file(adapter / "adapter_model.safetensors")
    modules = [name.removesuffix(".lora_A.weight") for name in factors if name.endswith(".lora_A.weight")]
    return {
        f"{module.removeprefix(OF_PEFT)}.weight": (
            factors[f"{module}.lora_A.weight"].float(),
            factors[f"{module}.lora_B.weight"].float(),
        )
        for module in modules
    }


def merge(base: Path, adapter: Path, merged: Path, *, settings: Merge) -> None:
    """Write the sum of base and adapter as a checkpoint. It is computed in float32, and stored in `settings.dtype`.

    The update of a weight is B A alpha / rank (Hu et al. 2021, arXiv:2106.09685). One weight is in memory at a time.
    Where files name weights otherwise than the model does, as those of models with images, peft merges all at once.

    Raises RuntimeError if the adapter does not fit the base.
    """
    import torch
    from peft import LoraConfig

    weights, updates = Tensors(base), updates_of(adapter)
    lora = LoraConfig.from_pretrained(adapter)
    if any(getattr(lora, name) for name in OTHER_KINDS) or not set(updates) <= set(weights.shapes):
        merge_at_once(base, adapter, merged, lora, getattr(torch, settings.dtype))
        return
    scaling = lora.lora_alpha / lora.r

    def merged_weight(name: str) -> Any:
        weight = weights[name]
        if name not in updates:
            return weight
        a, b = updates[name]
        update = b @ a * scaling
        update = update.T if lora.fan_in_fan_out else update
        if update.shape != weight.shape:
            raise RuntimeError(f"{name} is {[*weight.shape]}, and its update is {[*update.shape]}")
        return weight.float().add_(update)

    dtype = getattr(torch, settings.dtype)
    write_tensors(merged, {name: (shape, dtype) for name, shape in weights.shapes.items()}, merged_weight)
    write_json(merged / "config.json", read_json(base / "config.json") | {"dtype": settings.dtype})
    if (base / GENERATION).exists():
        shutil.copyfile(base / GENERATION, merged / GENERATION)
    copy_tokenizer(base, merged)


def merge_at_once(base: Path, adapter: Path, merged: Path, lora: Any, dtype: Any) -> None:
    """Write the sum of base and adapter, with the whole model in memory. RuntimeError if weights do not fit."""
    import torch
    from peft import get_peft_model, set_peft_model_state_dict
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), lora)
    found = set_peft_model_state_dict(model, load_file(adapter / "adapter_model.safetensors"))
    if found.unexpected_keys:
        raise RuntimeError(f"the adapter changes weights that {base} does not have: {found.unexpected_keys[:3]}")
    model.merge_and_unload().to(dtype).save_pretrained(merged)
    copy_tokenizer(base, merged)
