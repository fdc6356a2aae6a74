"""Measure what each matrix loses in each type, for mixes of types that spend bits where they matter."""

import json
import time
from pathlib import Path
from typing import Any

from ingot.converting import ggml
from ingot.converting.counterparts import Counterpart, counterparts
from ingot.converting.mixes import types_for
from ingot.inference.device import device
from ingot.inference.divergence import Divergence
from ingot.io.files import write_whole
from ingot.io.progress import progress
from ingot.io.records import read_json, read_records, sample, write_json
from ingot.settings.gguf import Sensitivity
from ingot.text import chat

SECONDS = 60.0
"""What a kill may cost."""
PROBED_BITS = 2.5
"""Of the types that the rows of a matrix allow, the one nearest to this is measured."""
ROWS = 512
"""Rows of a matrix that are rounded to every type, to know the error. They stand for all."""


def rounding_error(weights: Any, kind: int, importance: Any, threads: int) -> float:
    """Compute what rounding changes in weights [rows, columns], as a share of their squares.

    Each column counts by its importance, float32 [columns], if that is known.
    """
    rounded = ggml.rounded(weights, kind, importance, threads)
    matters = 1.0 if importance is None else importance
    whole = float((matters * weights**2).sum())
    return float((matters * (rounded - weights) ** 2).sum()) / whole if whole else 0.0


def divergence_with(
    divergence: Divergence, parameter: Any, one: Counterpart, kind: int, importance: Any, threads: int
) -> float:
    """Compute the divergence of the model while one of its matrices is rounded to a type."""
    import torch

    kept = parameter.detach().clone()
    weights = one.to_tensor(kept.float().cpu().numpy())
    rounded = ggml.rounded(weights, kind, importance, threads)
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(one.to_parameter(rounded)))
        found = divergence.now()
        parameter.copy_(kept)
    return found


def costs_of(divergence: Divergence, parameter: Any, one: Counterpart, importance: Any, threads: int) -> dict[str, Any]:
    """Measure what a matrix loses in one type, and work out what it loses in the others.

    {} if no type has blocks that its rows can be cut into: it stays in 16 bits.
    """
    kinds = types_for(parameter.shape[1], importance is not None)
    if not kinds:
        return {}
    measured = min(kinds, key=lambda name: abs(ggml.bits(kinds[name]) - PROBED_BITS))
    lost = divergence_with(divergence, parameter, one, kinds[measured], importance, threads)
    weights = one.to_tensor(parameter.detach().float().cpu().numpy())
    some = weights[:: max(1, len(weights) // ROWS)]
    errors = {name: rounding_error(some, kind, importance, threads) for name, kind in kinds.items()}
    return {
        name: {
            "bytes": round(weights.size * ggml.bits(kind) / 8),
            "kl": float(f"{max(0.0, lost) * errors[name] / (errors[measured] or 1):.5g}"),
        }
        for name, kind in kinds.items()
    }


def sensitivity(
    model: Path,
    gguf: Path,
    train: Path,
    matrix: Path,
    report: Path,
    work: Path,
    *,
    settings: Sensitivity,
    threads: int,
) -> None:
    """Write for each matrix of the checkpoint `model` its bytes and its loss in every type that its rows allow.

    `gguf` is the same model in 16 bits, and `matrix` its importance matrix. A loss is the mean KL divergence of the
    predictions along some training conversations, in nats. A run that was killed goes on from what is in `work`.
    """
    import torch
    from gguf import GGUFReader
    from safetensors.numpy import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(model)
    place = device()
    # Small losses drown in the noise of 16 bits. On a GPU, a large model has no room for more.
    dtype: Any = torch.float32 if place == "cpu" else "auto"
    network = AutoModelForCausalLM.from_pretrained(model, dtype=dtype).to(place).eval()
    importance = load_file(matrix)
    records = sample(list(read_records(train)), settings.records)
    conversations = (chat.encode(tokenizer, record["instruction"], record["response"]) for record in records)
    divergence = Divergence(network, [one.ids[: settings.length] for one in conversations])
    parameters = dict(network.named_parameters())
    matrices = {name: one for name, one in counterparts(network, gguf).items() if parameters[name].ndim == 2}
    so_far = work / "tensors.json"
    costs = read_json(so_far) if so_far.exists() else {}
    kept = time.monotonic()
    for name, one in progress(list(matrices.items()), "sensitivity", "matrix"):
        if one.tensor not in costs:
            costs[one.tensor] = costs_of(divergence, parameters[name], one, importance.get(one.tensor), threads)
        if time.monotonic() - kept >= SECONDS:
            write_whole(so_far, json.dumps(costs))
            kept = time.monotonic()
    costs = {tensor: types for tensor, types in costs.items() if types}
    tensors = GGUFReader(gguf).tensors
    weights = sum(int(tensor.n_elements) for tensor in tensors)
    kept_bytes = sum(int(tensor.n_bytes) for tensor in tensors if tensor.name not in costs)
    write_json(report, {"weights": weights, "kept_bytes": kept_bytes, "tensors": costs})
