"""Attend within each text of packed rows only, without a mask over all that the rows hold.

transformers makes a mask of the whole batch's length squared, unless flash-attn is installed. Here torch's own flash
kernel gets the texts' boundaries on a GPU, and elsewhere each text is attended to alone.
"""

from typing import Any

from ingot.inference.device import compute_dtype

NAME = "within_texts"
ARCHITECTURES = {"llama", "qwen2", "qwen3", "mistral", "phi3", "smollm3", "gemma3_text"}
"""Those that a test compares with the same texts in rows of their own. Others attend through the mask."""


def attend_within_texts(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: None,
    *,
    cu_seq_lens_q: Any,
    max_length_q: int,
    scaling: float,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Any, None]:
    """Attend causally within each text, as transformers' attention interface asks it.

    `query`, `key` and `value` are [1, heads, tokens, width], where the key may have fewer heads. `cu_seq_lens_q` says
    where texts begin and end: [texts + 1]. Returns ([1, tokens, heads, width], None).
    """
    import torch

    if query.device.type == "cuda" and fits_flash(query) and not dropout:
        from torch.nn.attention.varlen import varlen_attn

        flat = [one[0].transpose(0, 1).to(compute_dtype()) for one in (query, key, value)]
        window = (-1 if sliding_window is None else sliding_window - 1, 0)
        bounds = (cu_seq_lens_q, cu_seq_lens_q, max_length_q, max_length_q)
        attended = varlen_attn(*flat, *bounds, scale=scaling, window_size=window, enable_gqa=True)
        return attended[None].to(query.dtype), None

    lengths = cu_seq_lens_q.diff().tolist()
    texts = zip(*(one.split(lengths, dim=2) for one in (query, key, value)), strict=True)
    alone = [
        torch.nn.functional.scaled_dot_product_attention(
            *text, **causal(text[0], sliding_window), dropout_p=dropout, scale=scaling, enable_gqa=True
        )
        for text in texts
    ]
    return torch.cat(alone, dim=2).transpose(1, 2), None


def fits_flash(query: Any) -> bool:
    """Tell whether torch's flash kernel takes heads of this width on this GPU. It needs Ampere or newer."""
    import torch

    width = query.shape[-1]
    return bool(width % 8 == 0 and width <= 256 and torch.cuda.get_device_capability(query.device) >= (8, 0))


def causal(query: Any, window: int | None) -> dict[str, Any]:
    """Say which tokens of a text see which: all before them, or the last `window`."""
    import torch

    tokens = query.shape[2]
    if window is None or tokens <= window:
        return {"is_causal": True}
    at = torch.arange(tokens, device=query.device)
    back = at[:, None] - at
    return {"attn_mask": (back >= 0) & (back < window)}


def attend_without_mask(model: Any) -> None:
    """Let a model that is trained on packed rows attend within each text, if its architecture is known to allow it."""
    from transformers import AttentionInterface, AttentionMaskInterface

    if model.config.model_type in ARCHITECTURES:
        AttentionInterface.register(NAME, attend_within_texts)
        AttentionMaskInterface.register(NAME, lambda **_: None)
        model.set_attn_implementation(NAME)
