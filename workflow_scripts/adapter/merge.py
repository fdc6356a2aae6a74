"""Merge the adapter into the base: one dense model, whose zeros later steps can keep."""

from pathlib import Path

from ingot.settings.adapter import Merge


def merge(base: Path, adapter: Path, merged: Path, *, settings: Merge) -> None:
    """Write base + adapter as one checkpoint: the sum is taken in float32, and stored as the settings say."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    model.to(getattr(torch, settings.dtype)).save_pretrained(merged)
    AutoTokenizer.from_pretrained(base).save_pretrained(merged)
