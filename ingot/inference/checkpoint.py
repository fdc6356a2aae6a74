"""Ask a Hugging Face checkpoint, many prompts at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingot.inference.answer import Answer
from ingot.inference.device import device
from ingot.io.progress import progress

# Tokens after which answers that have ended leave their batch, the first time.
FIRST_STEPS = 64


def load(folders: list[Path]) -> tuple[Any, Any]:
    """Load (model, tokenizer) from the folder of a checkpoint, or from those of a base and of an adapter over it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    fastest = device()
    dtype = torch.float32 if fastest == "cpu" else torch.bfloat16
    own_code = {"trust_remote_code": False}  # else transformers would ask
    if fastest == "cpu":
        share_keys()
    model = AutoModelForCausalLM.from_pretrained(folders[0], dtype=dtype, device_map={"": fastest}, **own_code)
    if len(folders) > 1:
        from peft import PeftModel  # slow to import, and most checkpoints need none

        model = PeftModel.from_pretrained(model, folders[1])
    return model.eval(), AutoTokenizer.from_pretrained(folders[-1], **own_code)


def share_keys() -> None:
    """Let the heads of a group read the same keys and values in attention, on a CPU.

    transformers copies them for every head, in every layer and for every token, since some kernels of GPUs need that.
    torch's kernel for CPUs does not, and gives the same bits.
    """
    from transformers.integrations import sdpa_attention

    sdpa_attention.use_gqa_in_sdpa = lambda *_: True


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
        answered = self.answered(prompts, longest, temperature)
        answers = dict(progress(answered, "answers", "question", len(prompts)))
        return [answers[i] for i in range(len(prompts))]

    def answered(self, prompts: list[str], longest: int, temperature: float) -> Iterator[tuple[int, Answer]]:
        """Yield (place of a prompt, its answer) as the answers end.

        A batch takes as long as its longest answer. So all answers are begun, and those that have not ended after some
        tokens go on together, in fewer batches, for twice as many.
        """
        prompted = [self.tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in prompts]
        said: list[list[int]] = [[] for _ in prompts]
        going, steps, length = list(range(len(prompts))), FIRST_STEPS, 0
        while going:
            steps = min(steps, longest - length)
            length += steps
            # Prompts of similar length go into a batch, so that little of it is padding. The longest go first: if the
            # batch is too large for the memory, it fails at once.
            going.sort(key=lambda i: -len(prompted[i]))
            unfinished = []
            for start in range(0, len(going), self.batch):
                group = going[start : start + self.batch]
                written = self.go_on([prompted[i] + said[i] for i in group], steps, temperature)
                for i, ids in zip(group, written, strict=True):
                    stopped = self.tokenizer.eos_token_id in ids
                    said[i] += ids[: ids.index(self.tokenizer.eos_token_id)] if stopped else ids
                    if stopped or length == longest:
                        yield i, Answer(self.tokenizer.decode(said[i], skip_special_tokens=True).strip(), stopped)
                    else:
                        unfinished.append(i)
            going, steps = unfinished, 2 * steps

    def go_on(self, texts: list[list[int]], steps: int, temperature: float) -> list[list[int]]:
        """Write so many tokens after each text, in one call of the model. An end token may come before the last."""
        import torch

        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        self.tokenizer.padding_side = "left"
        padded = self.tokenizer.pad({"input_ids": texts}, return_tensors="pt").to(self.model.device)
        with torch.no_grad():
            out = self.model.generate(
                input_ids=padded["input_ids"],
                attention_mask=padded["attention_mask"],
                max_new_tokens=steps,
                **(sampling if temperature else {"do_sample": False}),
                eos_token_id=self.tokenizer.eos_token_id,
                pad_token_id=self.tokenizer.pad_token_id,
            )
        written: list[list[int]] = out[:, padded["input_ids"].shape[1] :].tolist()
        return written

    def logits(self, ids: list[int]) -> Any:
        """Compute the logits [tokens, vocabulary] along token ids [tokens]."""
        import torch

        with torch.no_grad():
            return self.model(input_ids=torch.tensor([ids], device=self.model.device)).logits[0].float().cpu().numpy()
