"""Train a checkpoint through the rounding of a GGUF type, so that what the file holds answers like its parent."""

import copy
from pathlib import Path

from ingot.converting.counterparts import counterparts
from ingot.inference.device import device, make_repeatable
from ingot.io.records import of_difficulty, read_records, write_json
from ingot.settings.compress import DistilTraining
from ingot.text import chat
from ingot.text.tokenizer_files import copy_tokenizer
from ingot.training.fit import fit, packed_rows
from ingot.training.rounding import RoundedModel, learn_from


def distil(
    model: Path,
    train: Path,
    gguf: Path,
    start: Path,
    matrix: list[Path],
    distilled: Path,
    quantized: Path,
    report: Path,
    *,
    training: DistilTraining,
    difficulties: list[str],
    dtype: str,
    work: Path,
    seed: int,
    threads: int,
) -> None:
    """Write the GGUF file, and a checkpoint with the weights that it holds.

    `gguf` is the checkpoint `model` in 16 bits, and `start` what llama.cpp made of it: its types are kept, tensor by
    tensor. `matrix` is the file of the importance matrix, or [].
    """
    import torch
    from safetensors.numpy import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    make_repeatable(seed, threads)
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).to(device())
    teacher = copy.deepcopy(network).eval().requires_grad_(False)
    records = of_difficulty(read_records(train), difficulties)
    conversations = [chat.encode(tokenizer, r["instruction"], r["response"]) for r in records]
    rows = packed_rows(conversations, training.length, tokenizer.pad_token_id)
    importance = load_file(matrix[0]) if matrix else {}
    tensors = counterparts(network, gguf)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in tensors)  # what has no tensor of its own cannot be written
    if network.device.type != "cpu":
        network.gradient_checkpointing_enable()
    rounded = RoundedModel(network, start, tensors, importance, threads)

    def round_now_and_then(step: int) -> None:
        if step % training.refresh == 0 and step < training.steps:
            rounded.round()

    learn = learn_from(teacher, tokenizer.pad_token_id)
    losses = fit(network, rows, training, "distil", work, round_now_and_then, learn)
    rounded.write(quantized)
    network.to(getattr(torch, dtype)).save_pretrained(distilled)
    copy_tokenizer(model, distilled)
    tokens = training.steps * training.batch * training.accumulation * training.length
    write_json(report, {"rows": len(rows["input_ids"]), "tokens_seen": tokens, "losses": losses})
