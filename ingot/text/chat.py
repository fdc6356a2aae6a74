"""The one prompt object: how a question and its answer become token ids, in training, evaluation and serving alike."""

from dataclasses import dataclass
from typing import Any

# Used by models that this project pretrains; a hub or local model keeps the template it was trained with.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}"
    "{% else %}{{ message['content'] + '<|im_end|>\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Qwen2's split pattern, so that llama.cpp's pre-tokenizer of that name gives the same ids (checked by `measure_gguf`).
SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PAD, START, END = "<|pad|>", "<|im_start|>", "<|im_end|>"
# Llama 3's templates write a date into every prompt, today's if not told otherwise; a model must not change overnight.
DATE = "26 Jul 2024"
SPECIAL_TOKENS = (PAD, START, END)


@dataclass(frozen=True)
class Encoded:
    """Token ids of one conversation; the first `prompt` of them are the question, the rest the answer and its end."""

    ids: list[int]
    prompt: int

    @property
    def completion_mask(self) -> list[int]:
        """1 for every token that the model must learn to write (answer and end token), 0 for the question."""
        return [0] * self.prompt + [1] * (len(self.ids) - self.prompt)

    def labels(self, ignore: int = -100) -> list[int]:
        """Return the ids with the question replaced by the index that the loss ignores."""
        return [ignore] * self.prompt + self.ids[self.prompt :]


def render(tokenizer: Any, turns: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
    """Render messages ({"role", "content"}) with the tokenizer's own template."""
    text = tokenizer.apply_chat_template(
        turns, tokenize=False, add_generation_prompt=add_generation_prompt, date_string=DATE
    )
    return str(text)


def prompt_text(tokenizer: Any, instruction: str) -> str:
    """Render a question up to the point where the answer begins."""
    return render(tokenizer, [{"role": "user", "content": instruction}])


def encode(tokenizer: Any, instruction: str, response: str) -> Encoded:
    """Encode a conversation.

    Question and answer are tokenised apart and joined as ids: that is what the model meets when it generates, where
    the question has been tokenised before the answer exists.
    """
    prompt = tokenizer(prompt_text(tokenizer, instruction), add_special_tokens=False)["input_ids"]
    answer = tokenizer(response, add_special_tokens=False)["input_ids"]
    return Encoded(prompt + answer + [tokenizer.eos_token_id], len(prompt))


def pack(conversations: list[Encoded], length: int, pad: int) -> tuple[list[list[int]], list[list[int]]]:
    """Pack conversations, in order, into rows of exactly `length` tokens; return input ids and labels, [rows, length].

    A conversation that is longer than a row is left out, since a cut answer would teach the model to stop early.
    """
    rows: list[list[int]] = []
    labels: list[list[int]] = []
    row: list[int] = []
    row_labels: list[int] = []
    for conversation in [*conversations, None]:
        if row and (conversation is None or len(row) + len(conversation.ids) > length):
            rows.append(row + [pad] * (length - len(row)))
            labels.append(row_labels + [-100] * (length - len(row)))
            row, row_labels = [], []
        if conversation is not None and len(conversation.ids) <= length:
            row = row + conversation.ids
            row_labels = row_labels + conversation.labels()
    return rows, labels
