"""Train every weight of a small model in a plain loop. The steps `pretrain` and `recover` use it."""

import functools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.inference.device import compute_dtype
from ingot.io.progress import progress
from ingot.quantities import steps_of
from ingot.settings.training import FullTraining
from ingot.text.chat import Encoded, pack
from ingot.training.muon import Muon
from ingot.training.state import TrainingState

BETAS = 0.9, 0.95
IGNORED = -100
"""The label of a token that is not to be learned."""
Rows = dict[str, Any]
"""Token ids, labels and positions, each [rows, length], by the names that a model takes them by."""
LossOf = Callable[[Any, Rows, int], float]
"""Takes a model, rows and the number of parts; computes the gradients, and returns the loss."""
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

    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    matrices = [p for n, p in trained if p.dim() == 2 and "embed" not in n and "lm_head" not in n]
    matrix_ids = {id(p) for p in matrices}
    embeddings_and_vectors = [p for _, p in trained if id(p) not in matrix_ids]
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "adamw_8bit":
        from ingot.training.adamw import RoundedAdamW8bit

        groups = [{"params": matrices}, {"params": embeddings_and_vectors, "weight_decay": 0.0}]
        return [RoundedAdamW8bit(groups, lr=rate, betas=BETAS, weight_decay=decay)]

    adamw = functools.partial(torch.optim.AdamW, betas=BETAS, fused=True)
    kinds: dict[str, Any] = {"muon": Muon, "adamw": adamw}
    return [
        kinds[settings.optimizer](matrices, lr=rate, weight_decay=decay),
        adamw(embeddings_and_vectors, lr=rate, weight_decay=0.0),
    ]


def packed_rows(conversations: list[Encoded], length: int, pad: int) -> Rows:
    """Pack conversations into rows, as tensors."""
    import torch

    return {name: torch.tensor(values) for name, values in pack(conversations, length, pad).items()}


def parts_of(rows: Rows, count: int, device: Any) -> Iterator[Rows]:
    """Cut rows into `count` parts. Each is moved to the device, and says that nothing is cached.

    With a cache, transformers would not look for texts in the positions, and all of a row would see each other.
    """
    cut = {name: values.chunk(count) for name, values in rows.items()}
    for one in zip(*cut.values(), strict=True):
        yield {**{name: part.to(device) for name, part in zip(cut, one, strict=True)}, "use_cache": False}


def loss_of(model: Any, rows: Rows, accumulation: int) -> float:
    """Compute the gradients of the mean loss of `rows`, in `accumulation` parts that are in memory one at a time."""
    import torch

    mixed_precision = compute_dtype() == torch.bfloat16
    # Parts have different numbers of targets. The first token of a row is none.
    counted = {"num_items_in_batch": (rows["labels"][:, 1:] != IGNORED).sum()} if accumulation > 1 else {}
    total = 0.0
    for part in parts_of(rows, accumulation, model.device):
        with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=mixed_precision):
            loss = model(**part, **counted).loss
        loss.backward()
        total += loss.item()
    return total


def fit(
    model: Any,
    rows: Rows,
    settings: FullTraining,
    name: str,
    work: Path,
    after_step: Callable[[int], None] = lambda step: None,
    loss_of: LossOf = loss_of,
    begin: Callable[[], None] = lambda: None,
) -> list[dict[str, float]]:
    """Train a model and return its losses as [{"step", "loss"}].

    Each of `rows` is filled with texts, which do not see each other. The losses are those of every
    hundredth step and of the last one. `after_step` is called after each step of the optimizers, with the number
    of steps so far. `loss_of` computes the gradients of a step, and returns its loss. `begin` is called once, when the
    model has the weights that the training begins or goes on with.

    A training that was killed goes on from what it has saved in the folder `work`, and ends with the same weights.

    Raises InputError if there are fewer rows than a step needs, or if the loss is not finite.
    """
    import torch

    steps, peak = settings.steps, settings.learning_rate
    warmup = steps_of(settings.warmup, steps)
    together = settings.batch * settings.accumulation
    count, length = rows["input_ids"].shape
    if count < together:
        raise InputError(
            f"{count} packed rows are fewer than the {together} of a step; lower `batch` or `accumulation`, or add data"
        )
    if model.device.type == "cpu" and length <= SHORT:
        model.set_attn_implementation("eager")
    stepped = optimizers(model, settings)
    state = TrainingState(work, model, stepped)
    at: dict[str, Any] = {"step": 0, "losses": [], "position": 0}
    at |= state.restore() or {"order": torch.randperm(count)}
    begin()
    losses: list[dict[str, float]] = at["losses"]
    order, position = at["order"], at["position"]
    model.train()
    for step in progress(range(at["step"], steps), name, "step", steps, at["step"]):
        if position + together > count:
            order, position = torch.randperm(count), 0
        in_batch = order[position : position + together]
        position += together
        model.zero_grad(set_to_none=True)
        batch = {name: values[in_batch] for name, values in rows.items()}
        loss = loss_of(model, batch, settings.accumulation)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in stepped:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps, peak, warmup)
            optimizer.step()
        after_step(step + 1)
        if not math.isfinite(loss):
            raise InputError(f"the loss is {loss} at step {step}: lower `learning_rate`")
        if step % 100 == 0 or step == steps - 1:
            losses.append({"step": step, "loss": round(loss, 4)})
        state.save_now_and_then(step + 1, order, losses=losses, position=position)
    return losses
