"""Calibration texts for the one-shot compression steps."""

from typing import Any

from ingot.io.records import Record
from ingot.settings.training import Calibration
from ingot.text import chat


def sample(records: list[Record], count: int) -> list[Record]:
    """Return `count` of the records, the first by id: as good as at random, and from every source."""
    return sorted(records, key=lambda record: record["id"])[:count]


def calibration_set(tokenizer: Any, records: list[Record], count: int, length: int) -> Any:
    """Return a dataset of `count` conversations, as at most `length` token ids each, in the model's template."""
    from datasets import Dataset

    rows = [chat.encode(tokenizer, r["instruction"], r["response"]).ids[:length] for r in sample(records, count)]
    return Dataset.from_dict({"input_ids": rows, "attention_mask": [[1] * len(row) for row in rows]})


def oneshot(model: Any, tokenizer: Any, records: list[Record], recipe: Any, settings: Calibration) -> None:
    """Apply llm-compressor modifiers to `model` in place, calibrated on some of the records."""
    import torch
    from llmcompressor import oneshot as compress
    from llmcompressor.pipelines.cache import IntermediatesCache

    if not torch.accelerator.is_available():
        # llmcompressor 0.14 pins memory whatever the machine: a mere speed hint that fails without an accelerator.
        IntermediatesCache.pin_memory = lambda *_, **__: None
    tokenizer.padding_side = "right"
    data = calibration_set(tokenizer, records, settings.records, settings.length)
    compress(
        model=model,
        dataset=data,
        recipe=recipe,
        max_seq_length=settings.length,
        num_calibration_samples=len(data),
        processor=tokenizer,
    )
