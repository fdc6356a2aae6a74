"""Train an adapter on pairs of a right and a wrong answer, with TRL. The step `prefer` uses it.

Sources: Rafailov et al. 2023 (DPO, arXiv:2305.18290), Ethayarajh et al. 2024 (KTO, arXiv:2402.01306), Hong et al. 2024
(ORPO, arXiv:2403.07691).
"""

import os
from pathlib import Path
from typing import Any

from ingot.errors import InputError
from ingot.inference.device import make_repeatable
from ingot.io.records import Record
from ingot.settings.adapter import Prefer
from ingot.text import chat
from ingot.text.tokenizer_files import copy_tokenizer
from ingot.training import lora
from ingot.training.sft import last_checkpoint, load_with_trl, shared_arguments, summary_of, train_or_resume, watch

WATCHED = 10
"""Every tenth pair is not learned: its loss chooses the checkpoint."""


def without_special_tokens(base: Path) -> Any:
    """Load a tokenizer that adds no token to a text. TRL tokenises texts, and the template has written all tokens."""
    from tokenizers.processors import ByteLevel
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.backend_tokenizer.post_processor = ByteLevel(trim_offsets=False)
    return tokenizer


def pairs_of(tokenizer: Any, failures: list[Record], length: int) -> list[dict[str, str]]:
    """Make pairs of failures: {prompt, chosen, rejected}, as texts in the chat template.

    Pairs of which one side has more than `length` tokens are left out, and so are those that TRL, which tokenises
    question and answer together, would turn into other tokens than the other trainings. Raises InputError if none fits.
    """
    pairs = []
    for record in failures:
        question = chat.prompt_text(tokenizer, record["instruction"])
        sides = [text + tokenizer.eos_token for text in (record["response"], record["failure"]["answer"])]
        ids = [tokenizer(question + side)["input_ids"] for side in sides]
        expected = chat.encode(tokenizer, record["instruction"], record["response"]).ids
        if max(map(len, ids)) <= length and ids[0] == expected:
            pairs.append({"prompt": question, "chosen": sides[0], "rejected": sides[1]})
    if not pairs:
        raise InputError(f"none of the {len(failures)} pairs fits into `prefer.training.length` = {length} tokens")
    return pairs


def as_table(pairs: list[dict[str, str]], loss: str) -> Any:
    """Make the dataset that a loss learns from. KTO sees each answer by itself, with whether it is wanted.

    KTO also compares each answer with that of its neighbour, so the neighbour must be an answer to another question.
    """
    from datasets import Dataset

    if loss != "kto":
        return Dataset.from_list(pairs)
    rows = []
    for place, pair in enumerate(pairs):
        other = pairs[(place + 1) % len(pairs)]
        rows.append({"prompt": pair["prompt"], "completion": pair["chosen"], "label": True})
        rows.append({"prompt": other["prompt"], "completion": other["rejected"], "label": False})
    return Dataset.from_list(rows)


def trainer_class(loss: str) -> tuple[Any, Any]:
    """Return TRL's (trainer, configuration) of a loss."""
    if loss == "orpo":
        os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
        from trl.experimental.orpo import ORPOConfig, ORPOTrainer

        return ORPOTrainer, ORPOConfig
    import trl

    return getattr(trl, f"{loss.upper()}Trainer"), getattr(trl, f"{loss.upper()}Config")


def take_up(work: Path) -> Any:
    """Make a callback that loads the adapter of the last checkpoint, if there is one.

    transformers loads the adapters in folders of a checkpoint alone. TRL puts the reference there, and ours beside it.
    """
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file
    from transformers import TrainerCallback

    class TakeUp(TrainerCallback):  # type: ignore[misc]
        """Runs after the trainer has loaded what it loads."""

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            if checkpoint := last_checkpoint(work):
                weights = load_file(Path(checkpoint) / "adapter_model.safetensors")
                set_peft_model_state_dict(model, weights, adapter_name="default")

    return TakeUp()


def tune_on_pairs(
    base: Path,
    before: Path,
    failures: list[Record],
    adapter: Path,
    settings: Prefer,
    *,
    work: Path,
    curves: Path,
    seed: int,
    threads: int,
) -> dict[str, Any]:
    """Train the adapter `before` on failures and their references. Write it to `adapter`, and return a report.

    A run that was killed goes on from its last checkpoint in `work`, which must belong to just these inputs.

    Raises InputError if no pair fits, if the adapter cannot be trained as it stands, or if the loss explodes.
    """
    from transformers import EarlyStoppingCallback, set_seed

    os.environ["TENSORBOARD_LOGGING_DIR"] = str(curves)
    make_repeatable(seed, threads)
    set_seed(seed)
    training = settings.training
    tokenizer = without_special_tokens(base)
    pairs = pairs_of(tokenizer, failures, training.length)
    watched = pairs[::WATCHED][: training.evaluate_on]
    learned = [pair for place, pair in enumerate(pairs) if place % WATCHED] or watched
    tokenizer.bos_token = None  # the template has written it, if the model wants one; ORPO would add it
    trainer_of_loss, configuration = trainer_class(settings.loss)
    model, _ = load_with_trl(base, before, training, seed)
    trainer = trainer_of_loss(
        model=model,
        args=configuration(**shared_arguments(training, work, seed), max_length=training.length, beta=settings.beta),
        train_dataset=as_table(learned, settings.loss),
        eval_dataset=as_table(watched, settings.loss),
        processing_class=tokenizer,
        callbacks=[watch(training.explosion), EarlyStoppingCallback(training.patience), take_up(work)],
    )
    lora.keep_in_float32(trainer.model)
    counts = lora.check_trainable(trainer.model, training.trainable_share)
    lora.check_optimizer(trainer.model.parameters(), trainer.create_optimizer())
    train_or_resume(trainer, work)
    # TRL may have added a frozen copy of the adapter, as the reference.
    trainer.model.save_pretrained(adapter, selected_adapters=["default"])
    copy_tokenizer(base, adapter)
    return summary_of(trainer, counts, len(learned))
