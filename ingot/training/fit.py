"""Train every weight of a small model in a plain loop. The steps `pretrain` and `recover` use it."""

import functools
import math
from collections.abc import Callable
from typing import Any

from ingot.errors import InputError
from ingot.inference.device import compute_dtype
from ingot.io.progress import progress
from ingot.settings.training import FullTraining
from ingot.training.muon import Muon

SHORT = 512
"""Tokens per row. On a CPU, plain attention makes a step 12 % faster than torch's flash kernel up to this length."""


def learning_rate(step: int, steps: int, peak: float, warmup: int) -> float:
    """Compute the learning rate of a step. It rises linearly to `peak`, then falls along a cosine to 5 % of it."""
    decay = 0.5 * (1 + math.cos(math.pi * step / steps))
    return peak * min(1.0, (step + 1) / warmup) * max(0.05, decay)


def optimizers(model: Any, settings: FullTraining) -> list[Any]:
    """Make the optimizers of a training: for the matrices of the blocks, and AdamW for embeddings and vectors.

    Muon needs less than half the steps of AdamW from random weights: see docs/decisions.md.
    """
    import torch

    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n and "lm_head" not in n]
    matrix_ids = {id(p) for p in matrices}
    embeddings_and_vectors = [p for p in model.parameters() if id(p) not in matrix_ids]

    adamw = functools.partial(torch.optim.AdamW, betas=(0.9, 0.95), fused=True)
    kinds: dict[str, Any] = {"muon": Muon, "adamw": adamw}
    rate, decay = settings.learning_rate, settings.weight_decay
    return [
        kinds[settings.optimizer](matrices, lr=rate, weight_decay=decay),
        adamw(embeddings_and_vectors, lr=rate, weight_decay=0.0),
    ]


def fit(
    model: Any,
    rows: Any,
    labels: Any,
    settings: FullTraining,
    name: str,
    after_step: Callable[[], None] = lambda: None,
) -> list[dict[str, float]]:
    """Train a model and return its losses as [{"step", "loss"}].

    `rows` and `labels` are token ids [rows, length]. Each row is filled with texts. The losses are those of every
    hundredth step and of the last one. `after_step` is called after each step of the optimizers.

    Raises InputError if there are fewer rows than a batch needs, or if the loss is not finite.
    """
    import torch

    steps, batch, peak = settings.steps, settings.batch, settings.learning_rate
    if len(rows) < batch:
        raise InputError(f"{len(rows)} packed rows are fewer than a batch of {batch}; lower `batch` or add data")
    if model.device.type == "cpu" and rows.shape[1] <= SHORT:
        model.set_attn_implementation("eager")
    stepped = optimizers(model, settings)
    order, position = torch.randperm(len(rows)), 0
    mixed_precision = compute_dtype() == torch.bfloat16
    losses = []
    model.train()
    for step in progress(range(steps), name, "step"):
        if position + batch > len(rows):
            order, position = torch.randperm(len(rows)), 0
        in_batch = order[position : position + batch]
        position += batch
        with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=mixed_precision):
            loss = model(input_ids=rows[in_batch].to(model.device), labels=labels[in_batch].to(model.device)).loss
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in stepped:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps, peak, settings.warmup)
            optimizer.step()
        after_step()
        if step % 100 == 0 or step == steps - 1:
            losses.append({"step": step, "loss": round(loss.item(), 4)})
            if not math.isfinite(losses[-1]["loss"]):
                raise InputError(f"the loss is {losses[-1]['loss']} at step {step}: lower `learning_rate`")
    return losses
