"""The weights of a model by the numbers in its config.json alone: no weights are needed."""

from dataclasses import dataclass
from typing import Any

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
TOKENIZER_BYTES = 72
"""Bytes that tokenizer.json has per token: its text, its number, and a merge."""
KINDS = ("gemma", "gemma2", "gemma3", "gemma3_text", "llama", "mistral", "qwen2", "qwen3", "smollm3")
"""Models with the seven matrices of Llama's blocks."""
EXTRA_NORMS = {"gemma2": 2, "gemma3_text": 2, "gemma3": 2}
"""Norms of a block beside the usual two."""
HEAD_NORMS = ("qwen3", "gemma3_text", "gemma3")
"""Models with a norm over each head of queries and keys."""


@dataclass(frozen=True)
class Weights:
    """The shape of a decoder of Llama's kind."""

    vocabulary: int
    hidden: int
    feed_forward: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    tied: bool
    """Whether the output is the table of embeddings."""
    norms: int
    """Numbers in the norms of a block."""
    context: int

    @property
    def matrices(self) -> dict[str, tuple[int, int]]:
        """The matrices of a block: {name: (outputs, inputs)}."""
        wide, narrow = self.heads * self.head, self.kv_heads * self.head
        return {
            "q_proj": (wide, self.hidden),
            "k_proj": (narrow, self.hidden),
            "v_proj": (narrow, self.hidden),
            "o_proj": (self.hidden, wide),
            "gate_proj": (self.feed_forward, self.hidden),
            "up_proj": (self.feed_forward, self.hidden),
            "down_proj": (self.hidden, self.feed_forward),
        }

    @property
    def in_blocks(self) -> int:
        """The numbers in all matrices of all blocks."""
        return self.layers * sum(rows * columns for rows, columns in self.matrices.values())

    @property
    def in_tables(self) -> int:
        """The numbers in the table of embeddings, and in the output if that is another one."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def parameters(self) -> int:
        """All numbers of the model."""
        return self.in_blocks + self.in_tables + self.layers * self.norms + self.hidden

    @property
    def largest(self) -> int:
        """The numbers of the largest matrix that a LoRA adapter changes."""
        return max(rows * columns for rows, columns in self.matrices.values())

    @property
    def widest(self) -> int:
        """The most inputs that a matrix has."""
        return max(columns for _, columns in self.matrices.values())

    @property
    def computed(self) -> int:
        """The numbers that each token is multiplied with."""
        return self.in_blocks + self.vocabulary * self.hidden

    @property
    def tokenizer_bytes(self) -> int:
        """About how large the files of its tokenizer are."""
        return self.vocabulary * TOKENIZER_BYTES

    def lora(self, rank: int, targets: list[str] | None) -> int:
        """Count the numbers of a LoRA adapter on these matrices, or on all of the blocks."""
        chosen = [shape for name, shape in self.matrices.items() if targets is None or name in targets]
        return self.layers * rank * sum(rows + columns for rows, columns in chosen)

    def kept_of(self, tokens: int) -> int:
        """Count the numbers of the keys and values of so many tokens."""
        return 2 * self.layers * self.kv_heads * self.head * tokens


def weights_of(config: dict[str, Any]) -> Weights:
    """Read the shape from the content of a config.json. KeyError if it is of another kind than Llama's."""
    inner = config.get("text_config") or config
    if inner.get("model_type") not in KINDS:
        raise KeyError(f"model_type {inner.get('model_type')}")
    hidden, heads = int(inner["hidden_size"]), int(inner["num_attention_heads"])
    head = int(inner.get("head_dim") or hidden // heads)
    kind = str(inner.get("model_type"))
    norms = hidden * (2 + EXTRA_NORMS.get(kind, 0)) + (2 * head if kind in HEAD_NORMS else 0)
    return Weights(
        vocabulary=int(inner["vocab_size"]),
        hidden=hidden,
        feed_forward=int(inner["intermediate_size"]),
        layers=int(inner["num_hidden_layers"]),
        heads=heads,
        kv_heads=int(inner.get("num_key_value_heads") or heads),
        head=head,
        tied=bool(config.get("tie_word_embeddings", inner.get("tie_word_embeddings", False))),
        norms=norms,
        context=int(inner.get("max_position_embeddings") or 2048),
    )
