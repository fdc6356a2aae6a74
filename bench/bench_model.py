"""How fast a real model is trained and asked on this machine, beside plain TRL and plain `generate`.

    python bench/bench_model.py CHECKPOINT RECORDS QUESTIONS [--preset PRESET] [--write]

CHECKPOINT is a folder; RECORDS and QUESTIONS are JSONL as the data stage leaves them, such as results/data/train.jsonl
and results/data/asked.jsonl. All trainings take the same number of rows for each step, and LoRA of one rank on the same
matrices. Each way runs in a process of its own. `--write` writes docs/bench-model.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tabulate import tabulate

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ingot.io.records import Record, read_records, sample  # noqa: E402
from ingot.settings.load import load  # noqa: E402

STEPS, WARM = 9, 1
"""Steps of a training, and how many of them are not timed."""
LONGEST = 300
"""Seconds after which a training ends with the second step or a later one. A processor that has no instructions for
bfloat16 takes minutes for each in it, and TRL trains in it unless told otherwise."""
QUESTIONS = 96
THREADS = 2
RIVALS = {
    "TRL": {},
    "TRL, float32": {"bf16": False},
    "TRL, float32, activations kept": {"bf16": False, "gradient_checkpointing": False},
    "TRL, float32, activations kept, packed": {"bf16": False, "gradient_checkpointing": False, "packing": True},
}
"""TRL as it comes, and what somebody might change who knows it."""
PAGE = ROOT / "docs/bench-model.md"


def clock(trainer_of: list[Any]) -> tuple[Any, list[tuple[float, int]]]:
    """Make a callback that notes (time, tokens so far) after every step of a trainer, and its notes.

    It ends a training that takes too long.
    """
    from transformers import TrainerCallback

    notes: list[tuple[float, int]] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.monotonic()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            notes.append((time.monotonic(), int(trainer_of[0]._total_train_tokens)))
            control.should_training_stop |= len(notes) > WARM and notes[-1][0] > self.began + LONGEST

    return Clock(), notes


def tokens_per_second(notes: list[tuple[float, int]]) -> dict[str, float]:
    """Return the speed after the first steps."""
    (began, before), (ended, after) = notes[WARM - 1], notes[-1]
    return {"tokens_per_second": (after - before) / (ended - began), "tokens": after - before}


def train_here(checkpoint: Path, records: list[Record], preset: str) -> dict[str, float]:
    """Train as `adapt` does."""
    from transformers import AutoTokenizer

    from ingot.inference.device import make_repeatable
    from ingot.training import sft

    training = load({"preset": preset}, ROOT).adapt.training
    settings = training.model_copy(update={"max_steps": STEPS, "evaluate_every": STEPS, "warmup": WARM})
    make_repeatable(0, THREADS)
    loaded = sft.load_with_trl(checkpoint, None, settings, 0)
    with tempfile.TemporaryDirectory() as work:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        trainer, _ = sft.new_trainer(loaded, tokenizer, (records, records[:4]), settings, Path(work), 0)
        callback, notes = clock([trainer])
        trainer.add_callback(callback)
        trainer.train()
    return tokens_per_second(notes)


def train_plainly(checkpoint: Path, records: list[Record], preset: str, changes: dict[str, Any]) -> dict[str, float]:
    """Train with TRL alone."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    torch.set_num_threads(THREADS)
    ours = load({"preset": preset}, ROOT).adapt.training
    rows = [
        {
            "prompt": [{"role": "user", "content": record["instruction"]}],
            "completion": [{"role": "assistant", "content": record["response"]}],
        }
        for record in records
    ]
    with tempfile.TemporaryDirectory() as work:
        arguments = SFTConfig(
            output_dir=work,
            max_steps=STEPS,
            per_device_train_batch_size=ours.batch,
            gradient_accumulation_steps=ours.accumulation,
            learning_rate=ours.learning_rate,
            max_length=ours.length,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            **changes,
        )
        trainer = SFTTrainer(
            model=str(checkpoint),
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            peft_config=LoraConfig(r=ours.rank, lora_alpha=ours.alpha, target_modules="all-linear"),
        )
        callback, notes = clock([trainer])
        trainer.add_callback(callback)
        trainer.train()
    return tokens_per_second(notes)


def limits_and_prompts(tokenizer: Any, questions: list[Record]) -> tuple[list[str], list[int]]:
    """Return the prompts, and how long each answer may be."""
    from ingot.measuring.answers import limits_of
    from ingot.text import chat

    prompts = [chat.prompt_text(tokenizer, question["instruction"]) for question in questions]
    return prompts, limits_of(tokenizer, questions, "auto")


def answer_here(checkpoint: Path, questions: list[Record], preset: str) -> dict[str, Any]:
    """Answer as `measure` does."""
    import torch

    from ingot.inference.checkpoint import Checkpoint

    torch.set_num_threads(THREADS)
    model = Checkpoint([checkpoint], load({"preset": preset}, ROOT).measure.batch)
    prompts, limits = limits_and_prompts(model.tokenizer, questions)
    model.complete(prompts[:2], [2, 2])
    began = time.monotonic()
    answers = model.complete(prompts, limits)
    return {"seconds": time.monotonic() - began, "answers": [answer.text for answer in answers]}


def answer_plainly(checkpoint: Path, questions: list[Record], preset: str) -> dict[str, Any]:
    """Answer with transformers' `generate`: the questions in batches as they come, up to the longest limit."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(THREADS)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    prompts, limits = limits_and_prompts(tokenizer, questions)
    batch = load({"preset": preset}, ROOT).measure.batch
    answers: list[str] = []
    began = time.monotonic()
    for start in range(0, len(prompts), batch):
        some = tokenizer(prompts[start : start + batch], return_tensors="pt", padding=True, add_special_tokens=False)
        with torch.no_grad():
            out = model.generate(**some, max_new_tokens=max(limits), do_sample=False)
        answers += tokenizer.batch_decode(out[:, some["input_ids"].shape[1] :], skip_special_tokens=True)
    return {"seconds": time.monotonic() - began, "answers": [answer.strip() for answer in answers]}


def run_one(options: argparse.Namespace) -> dict[str, Any]:
    """Do one way, here."""
    if options.one.startswith("answer"):
        answer = answer_here if options.one == "answer" else answer_plainly
        return answer(options.checkpoint, sample(list(read_records(options.questions)), QUESTIONS), options.preset)
    records = list(read_records(options.records))
    if options.one == "train":
        return train_here(options.checkpoint, records, options.preset)
    return train_plainly(options.checkpoint, records, options.preset, RIVALS[options.one])


def measured(options: argparse.Namespace, way: str) -> dict[str, Any]:
    """Do one way in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        named = ["--preset", options.preset, "--one", way, "--figures", str(figures)]
        paths = [options.checkpoint, options.records, options.questions]
        subprocess.run([sys.executable, __file__, *map(str, paths), *named], check=True, stderr=subprocess.DEVNULL)
        found: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
    print(way, {key: value for key, value in found.items() if key != "answers"}, flush=True)
    return found


def page_of(options: argparse.Namespace) -> str:
    """Measure all, and write the page."""
    ours = measured(options, "train")["tokens_per_second"]
    speeds = {way: measured(options, way)["tokens_per_second"] for way in RIVALS}
    here, plain = measured(options, "answer"), measured(options, "answer by generate")
    # An answer that the longest limit has not cut goes on where ours was cut at the limit of its kind.
    same = sum(theirs.startswith(one) for one, theirs in zip(here["answers"], plain["answers"], strict=True))
    faster = "Ingot is faster by"
    style: dict[str, Any] = {"tablefmt": "github", "disable_numparse": True, "colalign": ("left", "right", "right")}
    trained = [["Ingot", f"{ours:,.0f}", ""]]
    trained += [[way, f"{speed:,.0f}", f"{ours / speed:.2f}"] for way, speed in speeds.items()]
    seconds = [here["seconds"], plain["seconds"]]
    asked = [
        ["Ingot", f"{seconds[0]:,.0f}", ""],
        ["`generate`", f"{seconds[1]:,.0f}", f"{seconds[1] / seconds[0]:.2f}"],
    ]
    return "\n".join(
        [
            "# How fast a real model is trained and asked",
            "",
            f"`{options.preset}`, on {THREADS} threads of one machine, each in a process of its own. Written by",
            "`python bench/bench_model.py CHECKPOINT RECORDS QUESTIONS --write`.",
            "",
            f"LoRA of the preset's rank on all linear layers; {STEPS - WARM} steps of equal rows, or as many as fit",
            f"into {LONGEST} seconds. Padding does not count.",
            "",
            tabulate(trained, ("training", "tokens a second", faster), **style),
            "",
            f"{len(here['answers'])} benchmark questions; answers up to the limits of their kinds (`longest: auto`);",
            f"{same} answers are the same, or go on as ours where ours were cut off.",
            "",
            tabulate(asked, ("asking", "seconds", faster), **style),
            "",
        ]
    )  # fmt: skip


def main() -> None:
    """Measure, and print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("checkpoint", "records", "questions"):
        parser.add_argument(name, type=lambda text: Path(text).resolve())
    parser.add_argument("--preset", default="smollm2-135m")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--figures", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        options.figures.write_text(json.dumps(run_one(options)), encoding="utf-8")
        return
    print(page := page_of(options))
    if options.write:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
