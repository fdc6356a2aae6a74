"""Fine-tune a LoRA or QLoRA adapter with TRL. The steps `adapt`, `target` and `train_modifier` use it."""

import itertools
import logging
import math
import os
import shutil
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.inference.device import compute_dtype, device, make_repeatable
from ingot.io.records import Record, read_json, sample
from ingot.settings.training import LoraTraining
from ingot.text import chat
from ingot.text.tokenizer_files import copy_tokenizer
from ingot.training import lora, packing


def dataset(tokenizer: Any, records: list[Record], length: int) -> Any:
    """Tokenise records in the model's chat template. Conversations of more than `length` tokens are left out.

    The dataset has the columns `input_ids` and `completion_mask`. The mask makes the loss count answers only.

    Raises InputError if no record fits.
    """
    from datasets import Dataset

    encoded = [chat.encode(tokenizer, r["instruction"], r["response"]) for r in records]
    fitting = [e for e in encoded if len(e.ids) <= length]
    if not fitting:
        raise InputError(f"none of the {len(records)} records fits into `length` = {length} tokens; raise it")
    return Dataset.from_dict(
        {"input_ids": [e.ids for e in fitting], "completion_mask": [e.completion_mask for e in fitting]}
    )


def load_with_trl(base: Path, start: Path | None, settings: LoraTraining, seed: int) -> tuple[Any, Any]:
    """Load a base, in 4 bit if the settings say so, and return (model, LoRA configuration for the trainer).

    If there is an adapter `start`, the model contains it and it goes on learning. The configuration is None then.
    """
    import torch
    from peft import PeftModel, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    device_map = {"": device()}
    quantization = lora.quantization_of(settings, on_gpu=device() != "cpu")
    if quantization is None:
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, device_map=device_map)
    else:
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=quantization.type,
            bnb_4bit_use_double_quant=quantization.double,
            bnb_4bit_compute_dtype=compute_dtype(),
        )
        model = AutoModelForCausalLM.from_pretrained(
            base, dtype=compute_dtype(), quantization_config=config, device_map=device_map
        )
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=settings.gradient_checkpointing)
    model.config.use_cache = False
    if start:
        return PeftModel.from_pretrained(model, start, is_trainable=True), None
    return model, lora.lora_config(model, settings)


def load_with_unsloth(base: Path, start: Path | None, settings: LoraTraining, seed: int) -> tuple[Any, Any]:
    """Load a base with unsloth, add a new LoRA, and return (model, None).

    It needs a GPU, and it cannot go on from an adapter: `start` is ignored.
    """
    from unsloth import FastLanguageModel

    model, _ = FastLanguageModel.from_pretrained(
        model_name=str(base),
        max_seq_length=settings.length,
        load_in_4bit=lora.quantization_of(settings, on_gpu=True) is not None,
        trust_remote_code=False,
    )
    model = FastLanguageModel.get_peft_model(
        model,
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=lora.target_modules(model, settings.target_modules),
        bias="none",
        use_gradient_checkpointing="unsloth" if settings.gradient_checkpointing else False,
        random_state=seed,
    )
    return FastLanguageModel.for_training(model), None


# bitsandbytes warns if a package with a faster 4-bit kernel is missing. That package comes from the hub.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

LOADERS = {"trl": load_with_trl, "unsloth": load_with_unsloth}


def diagnose(first: float, loss: float, step: int, explosion: float) -> None:
    """Raise InputError if a training loss shows that the training has gone wrong.

    It has if the loss is not finite, or if it is more than `explosion` times the `first` loss. A first loss below 0.1
    counts as 0.1, because a loss that starts near zero may well double.
    """
    if not math.isfinite(loss):
        raise InputError(f"the loss is {loss} at step {step}: lower `learning_rate`")
    if loss > explosion * max(first, 0.1):
        raise InputError(
            f"the loss rose from {first:.3f} to {loss:.3f} by step {step}: it explodes; lower `learning_rate` or"
            " lengthen `warmup`"
        )


def watch(explosion: float) -> Any:
    """Make a callback for the trainer that diagnoses every logged loss."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):  # type: ignore[misc]
        """Remembers the first loss and compares later losses with it."""

        first: float | None = None

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                loss = float(logs["loss"])
                self.first = loss if self.first is None else self.first
                diagnose(self.first, loss, state.global_step, explosion)

    return Watch()


def shared_arguments(settings: LoraTraining, work: Path, seed: int) -> dict[str, Any]:
    """Translate the training settings of the preset into the arguments that all of TRL's trainings share."""
    import torch

    cpu, every = device() == "cpu", settings.evaluate_every
    return {
        "output_dir": str(work),
        "num_train_epochs": settings.epochs,
        "max_steps": settings.max_steps or -1,
        "per_device_train_batch_size": settings.batch,
        "per_device_eval_batch_size": settings.batch,
        "gradient_accumulation_steps": settings.accumulation,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.schedule,
        "warmup_steps": settings.warmup,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.clip,
        "optim": settings.optimizer,
        "gradient_checkpointing": settings.gradient_checkpointing,
        "bf16": compute_dtype() == torch.bfloat16,
        "use_cpu": cpu,
        "eval_strategy": "steps",
        "save_strategy": "steps",
        "eval_steps": every,
        "save_steps": every,
        "save_total_limit": 2,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "logging_steps": every // 5 or 1 if every >= 1 else every / 5,  # of a share, transformers makes whole steps
        "report_to": "tensorboard",
        "logging_nan_inf_filter": False,  # the filter would hide infinite losses from `watch`
        "seed": seed,
        "data_seed": seed,
        "dataloader_pin_memory": not cpu,
    }


def arguments(settings: LoraTraining, work: Path, seed: int) -> Any:
    """Translate the training settings of the preset into TRL's configuration."""
    from trl import SFTConfig

    return SFTConfig(
        **shared_arguments(settings, work, seed),
        packing=settings.packing,
        train_sampling_strategy="group_by_length" if settings.group_by_length and not settings.packing else "random",
        max_length=settings.length,
        completion_only_loss=True,
    )


def last_checkpoint(work: Path) -> str | None:
    """Find the newest complete checkpoint of an earlier run that was cut off. None if there is no checkpoint."""
    complete = [p for p in work.glob("checkpoint-*") if (p / "trainer_state.json").exists()]
    return str(max(complete, key=lambda p: int(p.name.rpartition("-")[2]))) if complete else None


def tokens_of(history: list[dict[str, Any]]) -> int:
    """Count the tokens that a training has seen. TRL's own count starts again at 0 when a training is resumed."""
    counts = [int(entry["num_tokens"]) for entry in history if "num_tokens" in entry]
    return sum(count for count, following in itertools.pairwise([*counts, 0]) if following < count)


def summary_of(trainer: Any, counts: dict[str, Any], records: int) -> dict[str, Any]:
    """Summarise a finished training for its report."""
    history = trainer.state.log_history
    return {
        **counts,
        "records": records,
        "steps": trainer.state.global_step,
        "tokens": tokens_of(history),
        "best_validation_loss": round(min(h["eval_loss"] for h in history if "eval_loss" in h), 5),
        "losses": [{"step": h["step"], "loss": round(float(h["loss"]), 4)} for h in history if "loss" in h],
        "validation_losses": [
            {"step": h["step"], "validation_loss": round(h["eval_loss"], 4)} for h in history if "eval_loss" in h
        ],
    }


def new_trainer(
    loaded: tuple[Any, Any],
    tokenizer: Any,
    parts: tuple[list[Record], list[Record]],
    settings: LoraTraining,
    work: Path,
    seed: int,
) -> tuple[Any, dict[str, Any]]:
    """Make TRL's trainer and check that it can train. Return (trainer, counts of the parameters).

    `loaded` is what a loader returned, and `parts` are (training records, validation records).
    """
    from transformers import EarlyStoppingCallback
    from trl import SFTTrainer

    model, peft_config = loaded
    train, valid = (dataset(tokenizer, part, settings.length) for part in parts)
    trainer = SFTTrainer(
        model=model,
        args=arguments(settings, work, seed),
        train_dataset=train,
        eval_dataset=valid,
        processing_class=tokenizer,
        peft_config=peft_config,
        callbacks=[watch(settings.explosion), EarlyStoppingCallback(settings.patience)],
    )
    lora.keep_in_float32(trainer.model)
    counts = lora.check_trainable(trainer.model, settings.trainable_share)
    lora.check_optimizer(trainer.model.parameters(), trainer.create_optimizer())
    return trainer, counts


def train_or_resume(trainer: Any, work: Path) -> None:
    """Train from the start, or go on from the last checkpoint in `work` if a run was killed.

    A training that goes wrong raises InputError. Its checkpoints are removed, so that no later run goes on from them.
    """
    checkpoint = last_checkpoint(work)
    if checkpoint and has_ended(Path(checkpoint), trainer.args.max_steps):
        trainer.add_callback(halt())
    try:
        trainer.train(resume_from_checkpoint=checkpoint)
    except HaltError:
        trainer._load_best_model()
    except InputError:
        shutil.rmtree(work)
        raise


class HaltError(Exception):
    """There is nothing to train any more."""


def has_ended(checkpoint: Path, max_steps: int) -> bool:
    """Tell whether a training had ended with a checkpoint: it was killed after that, before its result was written.

    It had if it has taken `max_steps` (if that is positive), or if it stopped early.
    """
    state = read_json(checkpoint / "trainer_state.json")
    stopped = state["stateful_callbacks"]["TrainerControl"]["args"]["should_training_stop"]
    taken, meant = state["global_step"], state["max_steps"]
    return bool(stopped) and (taken < meant or taken >= max_steps)


def halt() -> Any:
    """Make a callback that ends a training once its checkpoint is loaded. transformers would take one step more."""
    from transformers import TrainerCallback

    class Halt(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            raise HaltError

    return Halt()


def fine_tune(
    base: Path,
    train: list[Record],
    valid: list[Record],
    adapter: Path,
    settings: LoraTraining,
    *,
    work: Path,
    curves: Path,
    seed: int,
    threads: int,
    backend: str = "trl",
    start: Path | None = None,
) -> dict[str, Any]:
    """Train an adapter for the model `base`, write it to `adapter`, and return a report.

    The checkpoint with the lowest validation loss becomes the adapter. `backend` is "trl" or "unsloth". Training starts
    with a new adapter, or goes on from the adapter `start` (trl only).

    Checkpoints are in `work`, and a run that was killed goes on from the last of them. So `work` must belong to just
    this base, these records and these settings. The TensorBoard log is written to `curves`.

    Raises InputError if no record fits, if the adapter cannot be trained as it stands, or if the loss explodes.
    """
    if backend == "unsloth":
        import unsloth  # noqa: F401  (patches trl and transformers, so it must come first)

    from transformers import AutoTokenizer, set_seed

    os.environ["TENSORBOARD_LOGGING_DIR"] = str(curves)
    make_repeatable(seed, threads)
    set_seed(seed)  # before the adapter is created: its initial weights are random
    tokenizer = AutoTokenizer.from_pretrained(base)
    loaded = LOADERS[backend](base, start, settings, seed)
    watched = valid if settings.evaluate_on is None else sample(valid, settings.evaluate_on)
    if settings.packing and backend == "trl":  # unsloth has an attention of its own
        packing.attend_without_mask(loaded[0])
    trainer, counts = new_trainer(loaded, tokenizer, (train, watched), settings, work, seed)
    train_or_resume(trainer, work)
    trainer.model.save_pretrained(adapter)
    copy_tokenizer(base, adapter)
    return summary_of(trainer, counts, len(train))
