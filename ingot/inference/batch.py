"""Continuous batching: answers that have ended leave their batch, and waiting prompts take their places."""

from typing import Any


class Batch:
    """Rows that a model goes on writing, one token a step. Each keeps its keys and values, padded at the left."""

    def __init__(self, model: Any, pad: int) -> None:
        """Make an empty batch. `pad` is a token that no row attends to."""
        self.model, self.pad = model, pad
        self.cache: Any = None
        self.mask: Any = None
        """[rows, columns]: 1 where a row has a token."""
        self.last: Any = None
        """[rows]: the token that each row has written last."""

    def __len__(self) -> int:
        """Count the rows."""
        return 0 if self.mask is None else len(self.mask)

    def add(self, prompts: list[list[int]], temperature: float) -> list[int]:
        """Add rows of token ids at the end of the batch. Return the first token that each of them writes."""
        import torch
        from transformers import DynamicCache

        longest = max(map(len, prompts))
        where = self.model.device
        padded = torch.tensor([[self.pad] * (longest - len(ids)) + ids for ids in prompts], device=where)
        mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts], device=where)
        # Without the model's configuration, every layer keeps all columns: those of sliding windows, too.
        cache = DynamicCache()
        tokens = self.compute(padded, mask, (mask.cumsum(-1) - 1).clamp(min=0), cache, temperature)
        if len(self):
            columns = max(self.mask.shape[1], longest)
            self.widen(columns)
            for old, new in zip(self.cache.layers, cache.layers, strict=True):
                old.keys = torch.cat([old.keys, left_padded(new.keys, columns)])
                old.values = torch.cat([old.values, left_padded(new.values, columns)])
            extra = torch.nn.functional.pad(mask, (columns - longest, 0))
            self.mask, self.last = torch.cat([self.mask, extra]), torch.cat([self.last, tokens])
        else:
            self.cache, self.mask, self.last = cache, mask, tokens
        return list(map(int, tokens))

    def step(self, temperature: float) -> list[int]:
        """Let every row write a token. Return these."""
        import torch

        self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], dim=1)
        positions = self.mask.sum(-1, keepdim=True) - 1
        self.last = self.compute(self.last[:, None], self.mask, positions, self.cache, temperature)
        return list(map(int, self.last))

    def keep(self, rows: list[int]) -> None:
        """Forget all rows but these, and the columns in which none of these has a token."""
        if not rows:
            self.cache = self.mask = self.last = None
            return
        self.mask, self.last = self.mask[rows], self.last[rows]
        # The newest token is not among the keys yet; columns are counted from the left, so that does not matter.
        first = int(self.mask.any(0).int().argmax())
        self.mask = self.mask[:, first:]
        for layer in self.cache.layers:
            layer.keys, layer.values = layer.keys[rows, :, first:], layer.values[rows, :, first:]

    def widen(self, columns: int) -> None:
        """Pad all rows at the left to so many columns."""
        import torch

        self.mask = torch.nn.functional.pad(self.mask, (columns - self.mask.shape[1], 0))
        for layer in self.cache.layers:
            layer.keys, layer.values = left_padded(layer.keys, columns), left_padded(layer.values, columns)

    def compute(self, ids: Any, mask: Any, positions: Any, cache: Any, temperature: float) -> Any:
        """Feed token ids to the model, and choose the next token of each row: the likeliest at temperature 0."""
        import torch

        with torch.no_grad():
            logits = self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
            if not temperature:
                return logits.argmax(-1)
            return torch.multinomial((logits.float() / temperature).softmax(-1), 1)[:, 0]


def left_padded(states: Any, columns: int) -> Any:
    """Pad keys or values [rows, heads, columns, width] at the left. No row attends to what is added."""
    import torch

    return torch.nn.functional.pad(states, (0, 0, columns - states.shape[2], 0))
