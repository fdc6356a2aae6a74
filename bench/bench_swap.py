"""How long a modifier of about 50 MB takes to be laid over its base: `python bench/bench_swap.py`.

An untrained Llama of some 170 million parameters, memory-mapped, with two LoRAs of rank 128 with random weights.
"""

import json
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

SHAPE = {"hidden": 1024, "feed_forward": 2816, "layers": 12, "heads": 8, "kv_heads": 4, "initializer_range": 0.02}
RANK, SWAPS = 128, 40


def build(folder: Path) -> tuple[Path, dict[str, Path]]:
    """Write checkpoint, GGUF and modifiers; return the GGUF and the modifiers by name."""
    import itertools

    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from ingot.converting.llama_cpp_tools import convert_lora
    from ingot.settings.base import Architecture
    from ingot.world import tasks
    from workflow_scripts.base.pretrain import new_model
    from workflow_scripts.base.train_tokenizer import learn
    from workflow_scripts.gguf.convert import convert

    shares = {domain: {"easy": 1.0} for domain in tasks.DOMAINS}
    made = itertools.islice(tasks.tasks(0, shares, 0, 1, unique=False), 2000)
    tokenizer = learn((f"{task.instruction}\n{task.response}" for task in made), 1024)
    new_model(tokenizer, Architecture.model_validate(SHAPE), 512).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    convert(folder / "base", folder / "base.gguf", name="bench")
    modifiers = {}
    for name in ("a", "b"):
        torch.manual_seed(ord(name))
        model = AutoModelForCausalLM.from_pretrained(folder / "base")
        adapted = get_peft_model(model, LoraConfig(r=RANK, target_modules="all-linear", init_lora_weights=False))
        adapted.save_pretrained(folder / name)
        convert_lora(folder / name, folder / "base", folder / f"{name}.gguf", "f16")
        modifiers[name] = folder / f"{name}.gguf"
    return folder / "base.gguf", modifiers


def timed(action: Any) -> float:
    """Return how many milliseconds an action takes."""
    begin = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - begin)


def main() -> None:
    """Print what loading and swapping take, in milliseconds."""
    from ingot.inference.gguf_model import open_gguf

    with tempfile.TemporaryDirectory() as name:
        base, modifiers = build(Path(name))
        size = base.stat().st_size
        sizes = [path.stat().st_size for path in modifiers.values()]
        tokenizer = Path(name) / "base"
        without = timed(lambda: open_gguf(base, tokenizer, 512, 2))
        loading = timed(lambda: open_gguf(base, tokenizer, 512, 2, modifiers))
        model = open_gguf(base, tokenizer, 512, 2, modifiers)
        routes = ["a", None, "b"] * SWAPS
        swaps = [timed(partial(model.use, route)) for route in routes]
        tokens = [timed(lambda: model.complete(["Sort: 3 1 2"], 1)) for _ in range(3)]
    figures = {
        "base_bytes": size,
        "modifier_bytes": sizes,
        "load_base_ms": round(without, 1),
        "load_with_modifiers_ms": round(loading, 1),
        "swap_ms": {"median": round(statistics.median(swaps), 3), "most": round(max(swaps), 3)},
        "first_token_ms": round(min(tokens), 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
