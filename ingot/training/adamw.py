"""AdamW on weights in bfloat16, with states in 8 bit: six bytes a weight with its gradient, instead of sixteen."""

from typing import Any

import bitsandbytes


def rounded(values: Any) -> Any:
    """Round float32 values to bfloat16, up or down at random, so that the mean is exact.

    The steps of training are smaller than the last bit of a bfloat16 weight: rounded to the nearest, most would be
    lost (Zamirai et al. 2020, arXiv:2010.06192). bfloat16 is the upper half of float32.
    """
    import torch

    bits = torch.randint_like(values, 1 << 16, dtype=torch.int32)
    bits.add_(values.view(torch.int32)).bitwise_and_(-(1 << 16))
    # The sum of a number that is none could become one.
    return torch.where(values.isfinite(), bits.view(torch.float32), values).to(torch.bfloat16)


class RoundedAdamW8bit(bitsandbytes.optim.AdamW8bit):  # type: ignore[misc, name-defined]
    """bitsandbytes' AdamW with states in 8 bit (Dettmers et al. 2022, arXiv:2110.02861).

    A parameter and its gradient are float32 while they are computed, one after the other.
    """

    def update_step(self, group: Any, p: Any, gindex: int, pindex: int) -> None:
        """Move one parameter."""
        p.data, gradient = p.data.float(), p.grad
        p.grad = gradient.float()
        super().update_step(group, p, gindex, pindex)
        p.grad = None
        p.data = rounded(p.data)
        p.grad = gradient
