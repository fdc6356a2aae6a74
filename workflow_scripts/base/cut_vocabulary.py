"""Cut the vocabulary of the base to what the training data need: tokenizer, embeddings and output layer together."""

import json
import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from ingot.converting.llama_cpp_tools import name_splitting
from ingot.converting.received import set_special_tokens
from ingot.errors import InputError
from ingot.inference.device import device
from ingot.io.progress import progress
from ingot.io.records import Record, read_json, read_records, sample, write_json
from ingot.settings.base import CutVocabulary
from ingot.text import chat, vocabulary
from ingot.text.tokenizer_files import copy_tokenizer

READ, HELD_OUT = 20_000, 200
"""Training records that are counted, and held-out ones that the two vocabularies are compared on."""


def cut_tokenizer(received: Path, base: Path, ids: list[int]) -> None:
    """Write the tokenizer of the folder `received` with only the tokens `ids`."""
    copy_tokenizer(received, base)
    new = {old: place for place, old in enumerate(ids)}
    spec = vocabulary.cut(read_json(received / "tokenizer.json"), ids)
    (base / "tokenizer.json").write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")
    (base / "added_tokens.json").unlink(missing_ok=True)  # what it says is in tokenizer.json, too
    config = read_json(base / "tokenizer_config.json")
    if "added_tokens_decoder" in config:
        added = config["added_tokens_decoder"].items()
        config["added_tokens_decoder"] = {str(new[int(i)]): token for i, token in added}
    write_json(base / "tokenizer_config.json", config)


def cut_network(network: Any, ids: list[int]) -> None:
    """Keep only the rows `ids` of the embeddings, and of the output layer."""
    import torch

    tied = network.config.tie_word_embeddings
    holders = [network.get_input_embeddings(), *([] if tied else [network.get_output_embeddings()])]
    rows = [holder.weight.detach()[ids].clone() for holder in holders]
    network.resize_token_embeddings(len(ids), mean_resizing=False)
    holders = [network.get_input_embeddings(), *([] if tied else [network.get_output_embeddings()])]
    with torch.no_grad():
        for holder, kept in zip(holders, rows, strict=True):
            holder.weight.copy_(kept)


def spent(network: Any, tokenizer: Any, records: list[Record]) -> dict[str, float]:
    """Count the tokens of the answers to held-out records, and the bits that a model takes for each of their bytes."""
    import torch

    tokens, nats, length = 0, 0.0, 0
    for record in progress(records, "compare", "record"):
        encoded = chat.encode(tokenizer, record["instruction"], record["response"])
        ids = torch.tensor([encoded.ids], device=network.device)
        with torch.inference_mode():
            likely = torch.log_softmax(network(ids).logits[0].float(), -1)
        answer = ids[0, encoded.prompt :]
        nats -= likely[encoded.prompt - 1 : -1].gather(1, answer[:, None]).sum().item()
        tokens += len(answer)
        length += len(record["response"].encode()) + 1  # the end counts as one
    return {"tokens": tokens, "bits_per_byte": round(nats / math.log(2) / length, 4)}


def cut_vocabulary(
    received: Path,
    origin: Path,
    train: Path,
    valid: Path,
    base: Path,
    report: Path,
    *,
    settings: CutVocabulary,
    domains: list[str],
    length: int,
) -> None:
    """Write the checkpoint `received` with the tokens that `train` uses most, and what that costs on `valid`.

    `origin` is the report on the checkpoint, which the new one goes on from. Records longer than `length` tokens are
    not compared. `check_base` has seen that the tokenizer can be cut. InputError if a domain has no training record.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(received)
    records = list(read_records(train))
    if missing := sorted(set(domains) - {record["metadata"]["domain"] for record in records}):
        raise InputError(
            f"cut_vocabulary: {train} has no record of {', '.join(missing)}, so its tokens would be cut; add data of"
            " it, or take it out of `modifiers.domains`"
        )
    counts: Counter[int] = Counter()
    for record in progress(sample(records, READ), "count", "record"):
        counts.update(chat.encode(tokenizer, record["instruction"], record["response"]).ids)
    ids = vocabulary.kept_ids(read_json(received / "tokenizer.json"), counts, settings.most)
    cut_tokenizer(received, base, ids)
    name_splitting(tokenizer, base)
    network = AutoModelForCausalLM.from_pretrained(received, dtype="auto").to(device()).eval()
    fitting = (one for one in read_records(valid) if len(tokenizer(one["response"])["input_ids"]) < length // 2)
    held_out = sample(list(fitting), HELD_OUT)
    if not held_out:
        raise InputError(f"cut_vocabulary: {valid} has no record to compare on; raise `split.shares.valid`")
    before, parameters = spent(network, tokenizer, held_out), network.num_parameters()
    cut_network(network, ids)
    smaller = AutoTokenizer.from_pretrained(base)
    set_special_tokens(network, smaller)
    after = spent(network, smaller, held_out)
    network.save_pretrained(base)
    kept = set(ids)
    growth = round(after["tokens"] / before["tokens"], 4)
    facts = {
        "tokens": {"before": len(tokenizer), "after": len(ids)},
        "parameters": {"before": parameters, "after": network.num_parameters()},
        "kept_share": round(sum(count for i, count in counts.items() if i in kept) / counts.total(), 5),
        "held_out": {"before": before, "after": after, "growth": growth},
    }
    sys.stderr.write(f"{len(ids):,} of {len(tokenizer):,} tokens stay; held-out answers become {growth} x as many\n")
    write_json(report, {**read_json(origin), "parameters": network.num_parameters(), "vocabulary": facts})
