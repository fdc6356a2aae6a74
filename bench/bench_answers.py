"""How much faster many prompts are answered together than one by one: `python bench/bench_answers.py [CHECKPOINT]`.

Without a checkpoint, an untrained model of the shape of the tiny preset answers; it never ends by itself.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

PROMPTS, LONGEST, BATCH = 256, 32, 128


def untrained(folder: Path) -> Path:
    """Write an untrained model of the tiny preset's shape, and a tokenizer."""
    import itertools

    import torch

    from ingot.settings.load import load
    from ingot.world import tasks
    from workflow_scripts.base.pretrain import new_model
    from workflow_scripts.base.train_tokenizer import learn

    settings = load({"preset": "tiny"}, ROOT)
    shares = {domain: {"easy": 1.0} for domain in tasks.DOMAINS}
    made = itertools.islice(tasks.tasks(0, shares, 0, 1, unique=False), 2000)
    texts = (f"{task.instruction}\n{task.response}" for task in made)
    tokenizer = learn(texts, settings.train_tokenizer.vocabulary)
    torch.manual_seed(0)
    new_model(tokenizer, settings.pretrain.shape, settings.context).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def timed(action: Callable[[], object]) -> float:
    """Return how many seconds an action takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def checkpoint_seconds(folder: Path, prompts: list[str]) -> dict[int, float]:
    """Return how long a checkpoint takes to answer, by how many it answers together."""
    from ingot.inference.checkpoint import Checkpoint

    model, limits = Checkpoint([folder], BATCH), [LONGEST] * len(prompts)
    model.complete(prompts[:4], [4] * 4)
    seconds = {}
    for model.batch in (1, BATCH):
        seconds[model.batch] = timed(lambda: model.complete(prompts, limits))
    return seconds


def gguf_seconds(folder: Path, gguf: Path, prompts: list[str]) -> dict[int, float]:
    """Return the same of its GGUF file, of type F16."""
    from ingot.inference import decoding
    from ingot.inference.gguf_model import open_gguf
    from workflow_scripts.gguf.convert import convert

    convert(folder, gguf, name="bench")
    seconds, together, limits = {}, decoding.PARALLEL, [LONGEST] * len(prompts)
    for decoding.PARALLEL in (1, together):
        model = open_gguf(gguf, folder, 512, 2)
        model.complete(prompts[:4], [4] * 4)
        seconds[decoding.PARALLEL] = timed(partial(model.complete, prompts, limits))
    return seconds


def main() -> None:
    """Print seconds and ratios."""
    import itertools

    from transformers import AutoTokenizer

    from ingot.text import chat
    from ingot.world import tasks

    with tempfile.TemporaryDirectory() as name:
        folder = Path(sys.argv[1]) if sys.argv[1:] else untrained(Path(name) / "model")
        tokenizer = AutoTokenizer.from_pretrained(folder)
        shares = {domain: {"easy": 1.0} for domain in tasks.DOMAINS}
        made = itertools.islice(tasks.tasks(1, shares, 0, 1, unique=False), PROMPTS)
        prompts = [chat.prompt_text(tokenizer, task.instruction) for task in made]
        measured = {
            "checkpoint": checkpoint_seconds(folder, prompts),
            "GGUF": gguf_seconds(folder, Path(name) / "model.gguf", prompts),
        }
    for what, seconds in measured.items():
        one, together = seconds.values()
        print(json.dumps({what: seconds, "prompts": PROMPTS, "faster by": round(one / together, 1)}))


if __name__ == "__main__":
    main()
