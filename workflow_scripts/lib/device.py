"""Where a model is computed, and in which numbers."""

from typing import Any


def device() -> str:
    """Return "cuda" where there is a GPU, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def compute_dtype() -> Any:
    """Return the number format in which training is fastest here: bfloat16, if the hardware computes with it.

    Most processors without AVX512-BF16 or AMX only emulate it, at a third of the speed of float32.
    """
    import torch

    computes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    native = device() == "cuda" or any(getattr(torch.cpu, name, bool)() for name in computes)
    return torch.bfloat16 if native else torch.float32
