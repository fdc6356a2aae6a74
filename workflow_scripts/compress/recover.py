"""Train a pruned model further to win back what pruning lost. Its zeros stay zeros, and their number may grow."""

from pathlib import Path

from ingot.inference.device import device, make_repeatable
from ingot.io.records import of_difficulty, read_records, write_json
from ingot.settings.compress import Gradual
from ingot.settings.training import FullTraining
from ingot.text import chat
from ingot.text.tokenizer_files import copy_tokenizer
from ingot.training import sparsity
from ingot.training.fit import fit, packed_rows


def recover(
    model: Path,
    train: Path,
    recovered: Path,
    report: Path,
    *,
    training: FullTraining,
    gradual: Gradual | None,
    difficulties: list[str],
    dtype: str,
    work: Path,
    seed: int,
    threads: int,
) -> None:
    """Write the recovered model and a report. Raises RuntimeError if a pruned weight is not zero afterwards."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    make_repeatable(seed, threads)
    tokenizer = AutoTokenizer.from_pretrained(model)
    # In float32, because the steps of training are smaller than the last bit of a bfloat16 weight. `adamw_8bit` rounds
    # at random instead.
    precision = torch.bfloat16 if training.optimizer == "adamw_8bit" else torch.float32
    network = AutoModelForCausalLM.from_pretrained(model, dtype=precision).to(device())
    if network.device.type != "cpu":
        network.gradient_checkpointing_enable()
    records = of_difficulty(read_records(train), difficulties)
    conversations = [chat.encode(tokenizer, r["instruction"], r["response"]) for r in records]
    rows = packed_rows(conversations, training.length, tokenizer.pad_token_id)
    mask = sparsity.Mask(network, gradual, training.steps)
    losses = fit(network, rows, training, "recover", work, mask.apply, begin=mask.go_on)
    if broken := mask.broken():
        raise RuntimeError(f"{broken} pruned weights are no longer zero")
    network.to(getattr(torch, dtype)).save_pretrained(recovered)
    copy_tokenizer(model, recovered)
    tokens = training.steps * training.batch * training.accumulation * training.length
    seen = {"rows": len(rows["input_ids"]), "tokens_seen": tokens}
    write_json(report, {"zeros": sparsity.shares(network), **seen, "losses": losses})
