"""Supervised fine-tuning of a (Q)LoRA adapter with TRL: shared by `adapt` and `train_modifier`."""

import hashlib
import itertools
import json
import logging
import math
import os
import shutil
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.inference.device import compute_dtype, device, make_repeatable
from ingot.io.container import sha256
from ingot.io.records import Record
from ingot.settings.training import LoraTraining
from ingot.text import chat
from ingot.training import lora


def dataset(tokenizer: Any, records: list[Record], length: int) -> Any:
    """Return a tokenised dataset (input_ids, completion_mask); conversations over `length` tokens are left out.

    The mask makes the loss count answers only, in whatever template the model has.
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
    """Return (model, LoRA configuration for the trainer); the base is held in 4 bit where the settings say so.

    With the adapter `start`, it is laid in and goes on learning, and there is no configuration.
    """
    import torch
    from peft import PeftModel, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    where = {"": device()}
    quantization = settings.quantization
    if quantization is None:
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, device_map=where)
    else:
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=quantization.type,
            bnb_4bit_use_double_quant=quantization.double,
            bnb_4bit_compute_dtype=compute_dtype(),
        )
        model = AutoModelForCausalLM.from_pretrained(
            base, dtype=compute_dtype(), quantization_config=config, device_map=where
        )
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=settings.gradient_checkpointing)
    model.config.use_cache = False
    if start:
        return PeftModel.from_pretrained(model, start, is_trainable=True), None
    return model, lora.lora_config(model, settings)


def load_with_unsloth(base: Path, start: Path | None, settings: LoraTraining, seed: int) -> tuple[Any, Any]:
    """Return (model with its LoRA laid in by unsloth, None); needs a GPU, and begins with a new LoRA (no `start`)."""
    from unsloth import FastLanguageModel

    model, _ = FastLanguageModel.from_pretrained(
        model_name=str(base),
        max_seq_length=settings.length,
        load_in_4bit=settings.quantization is not None,
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


# bitsandbytes looks for a faster 4-bit kernel in a package that is fetched from the hub, and warns if it is absent.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

LOADERS = {"trl": load_with_trl, "unsloth": load_with_unsloth}


def diagnose(first: float, loss: float, step: int, explosion: float) -> None:
    """Raise InputError where a training loss says that the training has gone wrong.

    That is a loss which is not finite, or over `explosion` times the `first` one (0.1 at the least, since a loss that
    starts near zero may well double).
    """
    if not math.isfinite(loss):
        raise InputError(f"the loss is {loss} at step {step}: lower `learning_rate`")
    if loss > explosion * max(first, 0.1):
        raise InputError(
            f"the loss rose from {first:.3f} to {loss:.3f} by step {step}: it explodes; lower `learning_rate` or"
            " lengthen `warmup`"
        )


def watch(explosion: float) -> Any:
    """Return the trainer callback that diagnoses every loss that is logged."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):  # type: ignore[misc]
        """Remembers the first loss, and compares."""

        first: float | None = None

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                loss = float(logs["loss"])
                self.first = loss if self.first is None else self.first
                diagnose(self.first, loss, state.global_step, explosion)

    return Watch()


def arguments(settings: LoraTraining, work: Path, seed: int) -> Any:
    """Return TRL's configuration for the training settings of the preset."""
    import torch
    from trl import SFTConfig

    cpu = device() == "cpu"
    return SFTConfig(
        output_dir=str(work),
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        per_device_train_batch_size=settings.batch,
        per_device_eval_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.clip,
        optim=settings.optimizer,
        gradient_checkpointing=settings.gradient_checkpointing,
        packing=settings.packing,
        max_length=settings.length,
        completion_only_loss=True,
        bf16=compute_dtype() == torch.bfloat16,
        use_cpu=cpu,
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=settings.evaluate_every,
        save_steps=settings.evaluate_every,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        logging_steps=max(1, settings.evaluate_every // 5),
        report_to="tensorboard",
        logging_nan_inf_filter=False,  # it would hide from `watch` what it is there for
        seed=seed,
        data_seed=seed,
        dataloader_pin_memory=not cpu,
    )


def fingerprint(
    folders: list[Path], train: list[Record], valid: list[Record], settings: LoraTraining, seed: int
) -> str:
    """Return a digest of everything that a training depends on, except for how long it goes on.

    `folders` are the base, and the adapter to start from, if there is one.
    """
    lasting = settings.model_dump(mode="json", exclude={"max_steps", "epochs", "patience"})
    weights = {path.name: sha256(path) for folder in folders for path in sorted(folder.glob("*.safetensors"))}
    # A record that was taught another answer keeps its id.
    ids = [[(record["id"], record["response"]) for record in part] for part in (train, valid)]
    return hashlib.sha256(json.dumps([lasting, weights, ids, seed], sort_keys=True).encode()).hexdigest()


def prepare(work: Path, identity: str) -> None:
    """Keep the checkpoints in `work` if they are of this very training; those of another one are removed."""
    mark = work / "fingerprint"
    if not mark.exists() or mark.read_text() != identity:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        mark.write_text(identity)


def last_checkpoint(work: Path) -> str | None:
    """Return the newest complete checkpoint of an earlier, cut-off run, or None."""
    complete = [p for p in work.glob("checkpoint-*") if (p / "trainer_state.json").exists()]
    return str(max(complete, key=lambda p: int(p.name.rpartition("-")[2]))) if complete else None


def tokens_of(history: list[dict[str, Any]]) -> int:
    """Return how many tokens a training has seen; TRL counts anew where it was resumed."""
    counts = [int(one["num_tokens"]) for one in history if "num_tokens" in one]
    return sum(count for count, following in itertools.pairwise([*counts, 0]) if following < count)


def summary_of(trainer: Any, counts: dict[str, Any], records: int) -> dict[str, Any]:
    """Return the report of a finished training."""
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
    """Return (TRL's trainer, how many parameters it trains) for what a loader returned and (train, valid) records."""
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


def fine_tune(
    base: Path,
    train: list[Record],
    valid: list[Record],
    adapter: Path,
    settings: LoraTraining,
    *,
    work: Path,
    seed: int,
    threads: int,
    backend: str = "trl",
    start: Path | None = None,
) -> dict[str, Any]:
    """Train an adapter for `base` with `backend` (trl or unsloth) and return a report.

    It is a new one, or goes on from the adapter `start` (trl only). The checkpoint with the lowest validation loss is
    kept. Checkpoints and the TensorBoard log are in `work` until the training has ended, so that a run which was killed
    goes on from the last one.
    """
    if backend == "unsloth":
        import unsloth  # noqa: F401  (patches trl and transformers, so it must come first)

    from transformers import AutoTokenizer, set_seed

    os.environ["TENSORBOARD_LOGGING_DIR"] = str(work / "tensorboard")
    make_repeatable(seed, threads)
    set_seed(seed)  # before the adapter is created: its initial weights are random
    prepare(work, fingerprint([base, start] if start else [base], train, valid, settings, seed))
    tokenizer = AutoTokenizer.from_pretrained(base)
    loaded = LOADERS[backend](base, start, settings, seed)
    trainer, counts = new_trainer(loaded, tokenizer, (train, valid), settings, work, seed)
    try:
        trainer.train(resume_from_checkpoint=last_checkpoint(work))
    except InputError:
        shutil.rmtree(work)  # a training that went wrong must not be gone on with
        raise
    trainer.model.save_pretrained(adapter)
    tokenizer.save_pretrained(adapter)
    for checkpoint in work.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    return summary_of(trainer, counts, len(train))
