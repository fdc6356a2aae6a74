"""How much faster many prompts are answered together than one by one: `python bench/bench_answers.py [CHECKPOINT]`.

Without a checkpoint, an untrained model of the shape of the tiny preset answers; it never ends by itself.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow_scripts"), str(ROOT / "tests")]

PROMPTS, LONGEST, BATCH = 256, 32, 128


def untrained(folder: Path) -> Path:
    """Write an untrained model of the tiny preset's shape, and a tokenizer."""
    import itertools

    import torch
    import yaml

    from lib import world
    from pretrain import new_model
    from train_tokenizer import learn

    preset = yaml.safe_load((ROOT / "presets/tiny.yaml").read_text())
    shares = {domain: {"easy": 1.0} for domain in world.DOMAINS}
    tasks = list(itertools.islice(world.tasks(0, shares, 0, 1, unique=False), 2000))
    tokenizer = learn(
        (f"{task.instruction}\n{task.response}" for task in tasks), preset["train_tokenizer"]["vocabulary"]
    )
    torch.manual_seed(0)
    new_model(tokenizer, preset["pretrain"]["shape"], 512).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def main() -> None:
    """Print the ratio."""
    import itertools

    from lib import chat, world
    from lib.generation import Checkpoint

    with tempfile.TemporaryDirectory() as name:
        checkpoint = Checkpoint([Path(sys.argv[1]) if sys.argv[1:] else untrained(Path(name))], BATCH)
    shares = {domain: {"easy": 1.0} for domain in world.DOMAINS}
    tasks = itertools.islice(world.tasks(1, shares, 0, 1, unique=False), PROMPTS)
    prompts = [chat.prompt_text(checkpoint.tokenizer, task.instruction) for task in tasks]
    checkpoint.complete(prompts[:4], 4)
    seconds = {}
    for batch in (1, BATCH):
        checkpoint.batch = batch
        begin = time.perf_counter()
        checkpoint.complete(prompts, LONGEST)
        seconds[batch] = time.perf_counter() - begin
    print(json.dumps({"prompts": PROMPTS, "seconds": seconds, "faster by": round(seconds[1] / seconds[BATCH], 1)}))


if __name__ == "__main__":
    main()
