"""Turn a question and its answer into token ids, in the same way in training, measuring and serving."""

import re
from dataclasses import dataclass
from typing import Any

# Models that are pretrained here use this template. A model from a hub or a folder keeps its own.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}"
    "{% else %}{{ message['content'] + '<|im_end|>\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# For models without a template of their own: it needs no tokens but the end token. Taori et al. 2023, Stanford Alpaca.
ALPACA_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}{{ '\n\n' }}"
    "{% elif message['role'] == 'user' %}{{ '### Instruction:\n' + message['content'] + '\n\n### Response:\n' }}"
    "{% else %}{{ message['content'] + '\n\n' }}{% endif %}"
    "{% endfor %}"
)
TEMPLATES = {"alpaca": ALPACA_TEMPLATE}
# This is Qwen2's pattern, so that llama.cpp splits texts in the same way. `measure_gguf` checks that it does.
SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PAD, START, END = "<|pad|>", "<|im_start|>", "<|im_end|>"
# Llama 3's templates write a date into every prompt, by default today's. A fixed date keeps answers the same tomorrow.
DATE = "26 Jul 2024"
SPECIAL_TOKENS = (PAD, START, END)
# The tokens by which templates of any model mark turns. A tokenizer reads them as such in a text, too.
TEMPLATE_TOKENS = (
    r"<\|[a-z0-9_]+\|>|<\uff5c[^\uff5c\n]{1,40}\uff5c>|</?s>|<(?:bos|eos|pad|unk|mask)>|<(?:start|end)_of_(?:turn|image)>"
    r"|<unused\d+>|<extra_id_\d+>|\[/?INST\]|\[/?(?:AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|SYSTEM_PROMPT)\]|<</?SYS>>"
)
TEMPLATE_TOKEN = re.compile(TEMPLATE_TOKENS, re.IGNORECASE)


@dataclass(frozen=True)
class Encoded:
    """The token ids of a conversation: first the question, then the answer and its end token."""

    ids: list[int]
    prompt: int
    """How many of the ids are the question."""

    @property
    def completion_mask(self) -> list[int]:
        """A mask [tokens]: 1 for tokens that the model must learn to write (answer, end token), 0 for the question."""
        return [0] * self.prompt + [1] * (len(self.ids) - self.prompt)

    def labels(self, ignore: int = -100) -> list[int]:
        """Return the ids [tokens], with `ignore` in place of the question. The loss ignores that index."""
        return [ignore] * self.prompt + self.ids[self.prompt :]


def template_token_in(text: str) -> str:
    """Return the first token in a text that a tokenizer may read as a mark of a turn; "" if there is none."""
    found = TEMPLATE_TOKEN.search(text)
    return found.group() if found else ""


def marks_of(tokenizer: Any) -> list[str]:
    """List the special tokens of a `tokenizers.Tokenizer` that `template_token_in` does not know, plain words apart."""
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special]
    return [text for text in special if text.startswith(("<", "[", "{", "#")) and not TEMPLATE_TOKEN.search(text)]


def render(tokenizer: Any, turns: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
    """Write messages ({"role", "content"}) as one text, in the tokenizer's chat template."""
    text = tokenizer.apply_chat_template(
        turns, tokenize=False, add_generation_prompt=add_generation_prompt, date_string=DATE
    )
    return str(text)


def prompt_text(tokenizer: Any, instruction: str) -> str:
    """Write a question in the chat template, up to the point where the answer begins."""
    return render(tokenizer, [{"role": "user", "content": instruction}])


def encode(tokenizer: Any, instruction: str, response: str) -> Encoded:
    """Encode a conversation of one question and its answer.

    Question and answer are tokenised separately, and their ids are joined. A model that generates meets them in the
    same way: its question is tokenised before there is an answer.
    """
    prompt = tokenizer(prompt_text(tokenizer, instruction), add_special_tokens=False)["input_ids"]
    answer = tokenizer(response, add_special_tokens=False)["input_ids"]
    return Encoded(prompt + answer + [tokenizer.eos_token_id], len(prompt))


def pack(conversations: list[Encoded], length: int, pad: int) -> dict[str, list[list[int]]]:
    """Pack conversations, in order, into rows of `length` tokens. Return what a model takes, each [rows, length].

    `position_ids` begin anew with each conversation: so transformers knows which tokens may see each other. Rows are
    filled up with the token `pad`, which is nobody's target. A conversation that is longer than a row is left out: a
    cut answer would teach the model to stop early.
    """
    rows: list[list[Encoded]] = []
    free = 0
    for conversation in conversations:
        if len(conversation.ids) > length:
            continue
        if len(conversation.ids) > free:
            rows.append([])
            free = length
        rows[-1].append(conversation)
        free -= len(conversation.ids)
    packed: dict[str, list[list[int]]] = {"input_ids": [], "labels": [], "position_ids": []}
    for row in rows:
        left = length - sum(len(conversation.ids) for conversation in row)
        packed["input_ids"].append([i for conversation in row for i in conversation.ids] + [pad] * left)
        packed["labels"].append([i for conversation in row for i in conversation.labels()] + [-100] * left)
        positions = [i for conversation in row for i in range(len(conversation.ids))]
        packed["position_ids"].append(positions + list(range(left)))
    return packed
