"""Where a model is computed, and in which numbers."""

from typing import Any


def device() -> str:
    """Return "cuda" where there is a GPU, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def make_repeatable(seed: int, threads: int) -> None:
    """Let torch compute the same on every run on a machine, as far as it can, on so many threads."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Else every new tensor is filled first, though no kernel here reads what it has not written: 4 % of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False


def compute_dtype() -> Any:
    """Return the number format in which training is fastest here: bfloat16, if the hardware computes with it.

    Most processors without AVX512-BF16 or AMX only emulate it, at a third of the speed of float32.
    """
    import torch

    computes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    native = device() == "cuda" or any(getattr(torch.cpu, name, bool)() for name in computes)
    return torch.bfloat16 if native else torch.float32
