"""Measure a Hugging Face checkpoint of the chain: answers, perplexity, likeness to its parent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lib import chat
from lib.device import device
from lib.measurement import Answer, Item, item_of, judged, predict, write_measurement
from lib.progress import progress
from lib.records import read_records


def load(folders: list[Path]) -> tuple[Any, Any]:
    """Return (model, tokenizer) of one checkpoint, or of a base and the adapter to lay over it."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = device()
    dtype = torch.float32 if where == "cpu" else torch.bfloat16
    model = AutoModelForCausalLM.from_pretrained(folders[0], dtype=dtype, device_map={"": where})
    if len(folders) > 1:
        model = PeftModel.from_pretrained(model, folders[1])
    return model.eval(), AutoTokenizer.from_pretrained(folders[-1])


def batches(items: list[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in batches, in order."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def answer(model: Any, tokenizer: Any, items: list[Item], batch: int, longest: int) -> list[Answer]:
    """Answer all questions greedily, `batch` at a time, with at most `longest` new tokens each."""
    import torch

    tokenizer.padding_side = "left"
    answers = []
    for group in progress(list(batches(items, batch)), "answers", "batch"):
        texts = [chat.prompt_text(tokenizer, item.instruction) for item in group]
        encoded = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to(model.device)
        with torch.no_grad():
            out = model.generate(
                input_ids=encoded["input_ids"],
                attention_mask=encoded["attention_mask"],
                max_new_tokens=longest,
                do_sample=False,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        for row in out[:, encoded["input_ids"].shape[1] :].tolist():
            stopped = tokenizer.eos_token_id in row
            ids = row[: row.index(tokenizer.eos_token_id)] if stopped else row
            answers.append(Answer(tokenizer.decode(ids, skip_special_tokens=True).strip(), stopped))
    return answers


def measure(
    checkpoint: list[Path],
    tokenizer: Path,
    test: Path,
    benchmark: Path,
    parent: list[Path],
    report: Path,
    logprobs: Path,
    answers: Path,
    *,
    model: str,
    batch: int,
    longest: int,
    fidelity_tokens: int,
    threads: int,
) -> None:
    """Write what `lib.measurement` says of `model`: its `checkpoint` is one folder, or a base and an adapter.

    `tokenizer` is the folder of the one that training used; the model's own must read every text as the same tokens.
    """
    import torch
    from transformers import AutoTokenizer

    torch.set_num_threads(threads)
    network, own = load(checkpoint)
    trained = AutoTokenizer.from_pretrained(tokenizer)
    held_out = [item_of(record) for record in read_records(test)]
    items = [item_of(record) for record in read_records(benchmark)]

    def logits_of(ids: list[int]) -> Any:
        with torch.no_grad():
            return network(input_ids=torch.tensor([ids], device=network.device)).logits[0].float().cpu().numpy()

    conversations = (chat.encode(own, item.instruction, item.response) for item in held_out)
    prediction = predict(logits_of, conversations, fidelity_tokens)
    rows = judged(items, answer(network, own, items, batch, longest))
    mismatches = sum(
        chat.encode(own, item.instruction, item.response) != chat.encode(trained, item.instruction, item.response)
        for item in held_out + items
    )
    write_measurement(model, prediction, rows, mismatches, parent, (report, logprobs, answers))
