"""Merge the adapter into the base. The result is one dense model, which later steps can prune."""

from pathlib import Path

from ingot.settings.adapter import Merge
from ingot.text.tokenizer_files import copy_tokenizer


def merge(base: Path, adapter: Path, merged: Path, *, settings: Merge) -> None:
    """Write the sum of base and adapter as a checkpoint. It is computed in float32, and stored in `settings.dtype`."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    model.to(getattr(torch, settings.dtype)).save_pretrained(merged)
    copy_tokenizer(base, merged)
