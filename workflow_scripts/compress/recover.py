"""Train the pruned model further with its zeros held at zero, to win back what pruning lost."""

from pathlib import Path
from typing import Any

from ingot.inference.device import device, make_repeatable
from ingot.io.records import of_difficulty, read_records, write_json
from ingot.text import chat
from ingot.training import sparsity
from ingot.training.fit import fit


def recover(
    pruned: Path,
    train: Path,
    recovered: Path,
    report: Path,
    *,
    training: dict[str, Any],
    difficulties: list[str],
    dtype: str,
    seed: int,
    threads: int,
) -> None:
    """Write the recovered model; raises RuntimeError if a pruned weight came back."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    make_repeatable(seed, threads)
    tokenizer = AutoTokenizer.from_pretrained(pruned)
    # float32: a step of this size is less than the last bit of a bfloat16 weight
    model = AutoModelForCausalLM.from_pretrained(pruned, dtype=torch.float32).to(device())
    if model.device.type != "cpu":
        model.gradient_checkpointing_enable()
    records = of_difficulty(read_records(train), difficulties)
    conversations = [chat.encode(tokenizer, r["instruction"], r["response"]) for r in records]
    ids, targets = chat.pack(conversations, training["length"], tokenizer.pad_token_id)
    mask = sparsity.Mask(model)
    losses = fit(model, torch.tensor(ids), torch.tensor(targets), training, "recover", mask.apply)
    if broken := mask.broken():
        raise RuntimeError(f"{broken} pruned weights are no longer zero")
    model.to(getattr(torch, dtype)).save_pretrained(recovered)
    tokenizer.save_pretrained(recovered)
    tokens = training["steps"] * training["batch"] * training["length"]
    write_json(report, {"zeros": sparsity.shares(model), "rows": len(ids), "tokens_seen": tokens, "losses": losses})
