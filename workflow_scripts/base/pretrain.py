"""Pretrain the base: a small Llama, from scratch."""

from pathlib import Path
from typing import Any

from ingot.inference.device import device, make_repeatable
from ingot.io.records import read_records, write_json
from ingot.settings.base import Architecture, Pretrain
from ingot.text import chat
from ingot.training.fit import fit, packed_rows


def new_model(tokenizer: Any, shape: Architecture, context: int) -> Any:
    """Make an untrained Llama of the given shape, with the end and pad tokens of the tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        initializer_range=shape.initializer_range,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.do_sample = False
    return model


def pretrain(
    corpus: Path,
    tokenizer: Path,
    base: Path,
    report: Path,
    *,
    settings: Pretrain,
    context: int,
    work: Path,
    seed: int,
    threads: int,
) -> None:
    """Pretrain a model on the answers of a corpus; write it with its tokenizer, and a report of the losses."""
    import torch
    from transformers import AutoTokenizer

    make_repeatable(seed, threads)
    training = settings.training
    tokens = AutoTokenizer.from_pretrained(tokenizer)
    records = read_records(corpus)
    conversations = [chat.encode(tokens, record["instruction"], record["response"]) for record in records]
    rows = packed_rows(conversations, training.length, tokens.pad_token_id)
    model = new_model(tokens, settings.shape, context).to(device())
    if training.optimizer == "adamw_8bit":
        model = model.to(torch.bfloat16)
    losses = fit(model, rows, training, "pretrain", work)
    model.save_pretrained(base)
    tokens.save_pretrained(base)
    write_json(
        report,
        {
            "kind": "pretrain",
            "parameters": model.num_parameters(),
            "conversations": len(conversations),
            "rows": len(rows["input_ids"]),
            "tokens_seen": training.steps * training.batch * training.accumulation * training.length,
            "losses": losses,
        },
    )
