"""Choose the device and the number format in which models are computed."""

import os
from typing import Any

from ingot.errors import InputError

PROMISED = "INGOT_GPU_IS_PROMISED"


def device() -> str:
    """Return "cuda" if there is a GPU, else "cpu".

    InputError if the job was promised a GPU: a training that takes an hour there takes weeks on a CPU.
    """
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if os.environ.get(PROMISED):
        raise InputError("this job is promised a GPU by `resources.gpu`, and torch sees none; `make doctor` says why")
    return "cpu"


def make_repeatable(seed: int, threads: int) -> None:
    """Let torch compute the same on every run on this machine, as far as it can, and use so many threads."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # By default torch would now fill every new tensor first. That takes 4 % of a step, and no kernel here needs it.
    torch.utils.deterministic.fill_uninitialized_memory = False


def compute_dtype() -> Any:
    """Return the number format in which training is fastest here: bfloat16 if the hardware has it, else float32.

    Most processors without AVX512-BF16 or AMX emulate bfloat16, at a third of the speed of float32.
    """
    import torch

    cpu_features = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    has_bfloat16 = device() == "cuda" or any(getattr(torch.cpu, name, bool)() for name in cpu_features)
    return torch.bfloat16 if has_bfloat16 else torch.float32
