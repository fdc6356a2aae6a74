"""Compare a candidate with the model before compression, token by token, and see how small it packs."""

from pathlib import Path

from ingot.converting.gguf_files import segments_of
from ingot.inference.gguf_model import open_gguf
from ingot.io.container import pack_file
from ingot.io.records import read_records, write_json
from ingot.measuring.frontier import interval_of
from ingot.measuring.predictions import Prediction, compare_tokens, predict
from ingot.text import chat


def screen_candidate(
    model: Path,
    tokenizer: Path,
    texts: Path,
    before: Path,
    report: Path,
    *,
    fidelity_tokens: int,
    level: int,
    context: int,
    threads: int,
) -> None:
    """Write what a GGUF file takes, packed and in memory, and how its predictions differ from those `before`.

    `texts` are the conversations that `before` was predicted along, and `fidelity_tokens` how many of their tokens.
    """
    loaded = open_gguf(model, tokenizer, context, threads)
    conversations = (
        chat.encode(loaded.tokenizer, text["instruction"], text["response"]) for text in read_records(texts)
    )
    prediction = predict(loaded.logits, conversations, fidelity_tokens)
    parent = Prediction.load(before)
    divergences, agree = compare_tokens(prediction, parent)
    lost = 100 * (parent.finds_references().astype(float) - prediction.finds_references())
    packed = report.with_name(f"{report.name}.packed")
    try:
        pack_file(model, packed, level, threads, segments_of(model))
        file_bytes = packed.stat().st_size
    finally:
        packed.unlink(missing_ok=True)
    facts = {"file_bytes": file_bytes, "memory_bytes": model.stat().st_size}
    alike = {"kl": round(float(divergences.mean()), 5), "top1_agreement": round(float(agree.mean()), 4)}
    write_json(
        report, {**facts, **alike, "perplexity": round(prediction.perplexity(), 4), "token_loss": interval_of(lost)}
    )
