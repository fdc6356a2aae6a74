"""Time the candidates that were asked, in turns, so that what slows this machine for a while slows all of them."""

import random
import time
from pathlib import Path
from statistics import median
from typing import Any

from ingot.inference.gguf_model import open_gguf
from ingot.io.progress import progress
from ingot.io.records import read_json, read_records, write_json
from ingot.text import chat

TURNS, PROMPTS, TOKENS = 3, 4, 32


def tokens_per_second(model: Any, prompts: list[str]) -> float:
    """Return the tokens of answers a second, one prompt at a time. The prompts are read within the time."""
    start, made = time.perf_counter(), 0
    for prompt in prompts:
        for sequence in model.decoder.answers([model.tokenize(prompt)], [TOKENS]):
            made += len(sequence.logprobs)
    return made / (time.perf_counter() - start)


def time_candidates(
    models: list[Path],
    asked: list[Path],
    before: Path,
    tokenizer: Path,
    questions: Path,
    report: Path,
    *,
    names: list[str],
    context: int,
    threads: int,
) -> None:
    """Write {name: tokens a second} of all models that were asked, and of the one `before` as "".

    Each is the median of some turns.
    """
    chosen = {"": before}
    chosen |= {name: path for name, path, file in zip(names, models, asked, strict=True) if read_json(file)["asked"]}
    first = open_gguf(before, tokenizer, context, threads)
    prompts = [chat.prompt_text(first.tokenizer, question["instruction"]) for question in read_records(questions)]
    fitting = [prompt for prompt in prompts if len(first.tokenize(prompt)) + TOKENS <= context]
    some = random.Random(0).sample(fitting, min(PROMPTS, len(fitting)))
    seen: dict[str, list[float]] = {name: [] for name in chosen}
    for turn in progress(range(TURNS * len(chosen)), "timing", "turn", TURNS * len(chosen)):
        name = list(chosen)[turn % len(chosen)]
        model = open_gguf(chosen[name], tokenizer, context, threads)
        tokens_per_second(model, some[:1])
        seen[name].append(tokens_per_second(model, some))
    write_json(report, {name: round(median(speeds), 1) for name, speeds in seen.items()})
