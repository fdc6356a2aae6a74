"""Ask a Hugging Face checkpoint, many prompts at a time."""

from pathlib import Path
from typing import Any

from ingot.inference.answer import Answer
from ingot.inference.device import device
from ingot.io.progress import progress


def load(folders: list[Path]) -> tuple[Any, Any]:
    """Load (model, tokenizer) from the folder of a checkpoint, or from those of a base and of an adapter over it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    fastest = device()
    dtype = torch.float32 if fastest == "cpu" else torch.bfloat16
    own_code = {"trust_remote_code": False}  # else transformers would ask
    model = AutoModelForCausalLM.from_pretrained(folders[0], dtype=dtype, device_map={"": fastest}, **own_code)
    if len(folders) > 1:
        from peft import PeftModel  # slow to import, and most checkpoints need none

        model = PeftModel.from_pretrained(model, folders[1])
    return model.eval(), AutoTokenizer.from_pretrained(folders[-1], **own_code)


class Checkpoint:
    """A model in memory that answers `batch` prompts at a time."""

    def __init__(self, folders: list[Path], batch: int) -> None:
        """Load the folder of a checkpoint, or those of a base and an adapter."""
        self.model, self.tokenizer = load(folders)
        self.batch = batch

    def complete(self, prompts: list[str], longest: int, temperature: float = 0.0) -> list[Answer]:
        """Answer prompts that are already in the chat template, with at most `longest` tokens each.

        Answers are greedy at temperature 0, and sampled at any other. They have no confidence.
        """
        # Prompts of similar length go into a batch, so that little of it is padding. The longest go first: if the batch
        # is too large for the memory, it fails at once.
        order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
        answers: dict[int, Answer] = {}
        for start in progress(range(0, len(order), self.batch), "answers", "batch"):
            group = order[start : start + self.batch]
            answers.update(
                zip(group, self.complete_batch([prompts[i] for i in group], longest, temperature), strict=True)
            )
        return [answers[i] for i in range(len(prompts))]

    def complete_batch(self, prompts: list[str], longest: int, temperature: float) -> list[Answer]:
        """Answer prompts in one call of the model."""
        import torch

        tokenizer = self.tokenizer
        tokenizer.padding_side = "left"
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        encoded = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False).to(self.model.device)
        with torch.no_grad():
            out = self.model.generate(
                input_ids=encoded["input_ids"],
                attention_mask=encoded["attention_mask"],
                max_new_tokens=longest,
                **(sampling if temperature else {"do_sample": False}),
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        answers = []
        for row in out[:, encoded["input_ids"].shape[1] :].tolist():
            stopped = tokenizer.eos_token_id in row
            ids = row[: row.index(tokenizer.eos_token_id)] if stopped else row
            answers.append(Answer(tokenizer.decode(ids, skip_special_tokens=True).strip(), stopped))
        return answers

    def logits(self, ids: list[int]) -> Any:
        """Compute the logits [tokens, vocabulary] along token ids [tokens]."""
        import torch

        with torch.no_grad():
            return self.model(input_ids=torch.tensor([ids], device=self.model.device)).logits[0].float().cpu().numpy()
