"""Compress a model in one pass over calibration texts, with llm-compressor. The steps `prune` and `quantize_awq` do."""

from pathlib import Path
from typing import Any

from ingot.converting.shape import fitting_groups, group_problem
from ingot.errors import InputError
from ingot.io.records import Record, sample
from ingot.settings.training import Calibration
from ingot.text import chat
from ingot.training.parts import Parts, going_on


def group_of(model: Any, wanted: str | int) -> int:
    """Return how many weights share a scale. InputError if a width of the model is no multiple of them."""
    import torch

    widths = {
        name: layer.in_features
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear) and not name.endswith("lm_head")
    }
    if line := group_problem(widths, wanted):
        raise InputError(line)
    return fitting_groups(widths)[0] if wanted == "auto" else int(wanted)


def calibration_rows(tokenizer: Any, records: list[Record], count: int, length: int) -> list[list[int]]:
    """Return the token ids of `count` conversations in the model's chat template, cut to `length` tokens each."""
    return [chat.encode(tokenizer, r["instruction"], r["response"]).ids[:length] for r in sample(records, count)]


def calibration_set(tokenizer: Any, records: list[Record], count: int, length: int) -> Any:
    """Make a dataset of them."""
    from datasets import Dataset

    rows = calibration_rows(tokenizer, records, count, length)
    return Dataset.from_dict({"input_ids": rows, "attention_mask": [[1] * len(row) for row in rows]})


def oneshot(
    model: Any,
    tokenizer: Any,
    records: list[Record],
    recipe: list[tuple[type, dict[str, Any]]],
    settings: Calibration,
    work: Path,
) -> None:
    """Apply llm-compressor's modifiers to `model`, in place. Some of the records calibrate them.

    `recipe` has the class of each modifier, and its arguments. A run that was killed goes on from what is in `work`.
    """
    import torch
    from compressed_tensors.offload import remove_dispatch
    from llmcompressor import oneshot as compress
    from llmcompressor.pipelines.cache import IntermediatesCache

    if not torch.accelerator.is_available():
        # llmcompressor 0.14 always pins memory, to be faster. That fails on a machine without an accelerator.
        IntermediatesCache.pin_memory = lambda *_, **__: None
    tokenizer.padding_side = "right"
    data = calibration_set(tokenizer, records, settings.records, settings.length)
    modifiers, parts = [], None
    for i, (modifier, given) in enumerate(recipe):  # each goes through the whole model, then the next
        one = modifier(**given)
        if one.requires_calibration_data:
            parts = Parts(work / str(i), model, parts)
            one = going_on(modifier, parts)(**given)
        modifiers.append(one)
    compress(
        model=model,
        dataset=data,
        recipe=modifiers,
        max_seq_length=settings.length,
        num_calibration_samples=len(data),
        processor=tokenizer,
    )
    # It was on the GPU a layer at a time. From now on it would go there whole, where all its weights are asked for.
    remove_dispatch(model)
