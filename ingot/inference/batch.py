"""Continuous batching: answers that have ended leave their batch, and waiting prompts take their places."""

import contextlib
from collections.abc import Iterator
from typing import Any


def keeps_columns(model: Any) -> bool:
    """Tell whether all that a model remembers of a text are the keys and values of its tokens.

    It is not so where layers have a state of another kind, as those of linear attention or of convolutions.
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    layers = DynamicCache(config=model.config).layers
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)


class Batch:
    """Rows that a model goes on writing, one token a step. Each keeps its keys and values, padded at the left."""

    def __init__(self, model: Any, temperature: float) -> None:
        """Make an empty batch. Tokens are the likeliest at temperature 0, and drawn at any other."""
        self.model, self.temperature = model, temperature
        self.last_position = (getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 62) - 1
        self.cache: Any = None
        self.mask: Any = None
        """[rows, columns]: 1 where a row has a token."""
        self.last: Any = None
        """[rows]: the token that each row has written last."""

    def __len__(self) -> int:
        """Count the rows."""
        return 0 if self.mask is None else len(self.mask)

    def add(self, prompts: list[list[int]]) -> list[int]:
        """Add rows of token ids at the end of the batch. Return the first token that each of them writes."""
        import torch
        from transformers import DynamicCache

        longest, where = max(map(len, prompts)), self.model.device
        # Which token is at the left does not matter: no row attends to it.
        padded = torch.tensor([[0] * (longest - len(ids)) + ids for ids in prompts], device=where)
        mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts], device=where)
        # Without the model's configuration, every layer keeps all columns: those of sliding windows, too.
        cache = DynamicCache()
        tokens = self.compute(padded, mask, (mask.cumsum(-1) - 1).clamp(min=0), cache)
        if len(self):
            columns = max(self.mask.shape[1], longest)
            for old, new in zip(self.cache.layers, cache.layers, strict=True):
                new.keys = torch.cat([left_padded(old.keys, columns), left_padded(new.keys, columns)])
                new.values = torch.cat([left_padded(old.values, columns), left_padded(new.values, columns)])
            masks = (torch.nn.functional.pad(one, (columns - one.shape[1], 0)) for one in (self.mask, mask))
            mask, tokens = torch.cat([*masks]), torch.cat([self.last, tokens])
        self.cache, self.mask, self.last = cache, mask, tokens
        added: list[int] = tokens[-len(prompts) :].tolist()
        return added

    def step(self) -> list[int]:
        """Let every row write a token. Return these."""
        import torch

        self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], dim=1)
        # A row that has ended is computed as long as it stays, perhaps beyond the last position that the model knows.
        positions = (self.mask.sum(-1, keepdim=True) - 1).clamp(max=self.last_position)
        self.last = self.compute(self.last[:, None], self.mask, positions, self.cache)
        written: list[int] = self.last.tolist()
        return written

    def keep(self, rows: list[int]) -> None:
        """Forget all rows but these, and the columns in which none of these has a token."""
        if not rows:
            self.cache = self.mask = self.last = None
            return
        self.mask, self.last = self.mask[rows], self.last[rows]
        first = int(self.mask.any(0).int().argmax())
        self.mask = self.mask[:, first:]
        for layer in self.cache.layers:
            layer.keys, layer.values = layer.keys[rows, :, first:], layer.values[rows, :, first:]

    def compute(self, ids: Any, mask: Any, positions: Any, cache: Any) -> Any:
        """Feed token ids [rows, columns] to the model, and choose the next token of each row."""
        import torch

        with torch.no_grad(), shared_keys(self.model):
            logits = self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
            if not self.temperature:
                return logits.argmax(-1)
            return torch.multinomial((logits.float() / self.temperature).softmax(-1), 1)[:, 0]


@contextlib.contextmanager
def shared_keys(model: Any) -> Iterator[None]:
    """Let the heads of a group read the same keys and values in attention, on a CPU.

    transformers copies them for every head, in every layer and for every token, since some kernels of GPUs need that.
    torch's kernel for CPUs does not, and gives the same bits. Gradients would come out in other bits.
    """
    from transformers.integrations import sdpa_attention

    before = sdpa_attention.use_gqa_in_sdpa
    if model.device.type == "cpu":
        sdpa_attention.use_gqa_in_sdpa = lambda *_: True
    try:
        yield
    finally:
        sdpa_attention.use_gqa_in_sdpa = before


def left_padded(states: Any, columns: int) -> Any:
    """Pad keys or values [rows, heads, columns, width] at the left. No row attends to what is added."""
    import torch

    return torch.nn.functional.pad(states, (0, 0, columns - states.shape[2], 0))
