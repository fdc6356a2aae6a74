"""Quantise the 16-bit GGUF file to a type or a mix of types, guided by the importance matrix if there is one."""

import ctypes
import logging
import re
from pathlib import Path
from typing import Any

from ingot.converting.gguf_types import file_type, tensor_type
from ingot.converting.mixes import best_mix, most_frequent
from ingot.errors import InputError
from ingot.io.records import read_json
from ingot.quantities import bits_of


def importance_entries(matrix: Path) -> tuple[Any, list[Any]]:
    """Read the importance matrix into an array for llama.cpp, which ends with an empty entry.

    Returns the array, and buffers that must be kept as long as the array is used.
    """
    import llama_cpp
    import numpy as np
    from safetensors.numpy import load_file

    vectors = load_file(matrix)
    entries = (llama_cpp.llama_model_imatrix_data * (len(vectors) + 1))()
    buffers: list[Any] = []
    for i, (name, vector) in enumerate(sorted(vectors.items())):
        values, label = np.ascontiguousarray(vector, dtype=np.float32), name.encode()
        buffers += [values, label]
        entries[i].name = label
        entries[i].data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        entries[i].size = values.size
    return entries, buffers


def overrides_of(mix: dict[str, str]) -> Any:
    """Make the array that tells llama.cpp the type of each tensor, which ends with an empty entry."""
    import llama_cpp

    entries = (llama_cpp.llama_model_tensor_override * (len(mix) + 1))()
    for entry, (tensor, quant) in zip(entries, mix.items(), strict=False):
        entry.pattern = f"^{re.escape(tensor)}$".encode()
        entry.type = tensor_type(quant)
    return entries


def mix_of(sensitivity: Path, quant: str) -> tuple[dict[str, str], str]:
    """Choose the types of the tensors for a mix such as MIX_2_25; return them, and the type of most.

    If the widths of the model allow no types that small, the smallest are taken, and a warning says so.
    """
    found = read_json(sensitivity)
    costs, kept = found["tensors"], found["kept_bytes"]
    mix = best_mix(costs, bits_of(quant) / 8 * found["weights"] - kept)
    bits = 8 * (kept + sum(costs[tensor][one]["bytes"] for tensor, one in mix.items())) / found["weights"]
    if bits > bits_of(quant):
        logging.getLogger("quantize").warning(
            "%s: the widths of this model take %.2f bits a weight at least", quant, bits
        )
    return mix, most_frequent(mix, costs)


def quantize(
    gguf: Path, matrix: list[Path], sensitivity: list[Path], quantized: Path, *, quant: str, threads: int
) -> None:
    """Write the GGUF file in the type `quant`, or as such a mix. `matrix` is the file of the importance matrix, or [].

    `sensitivity` is the file of what each tensor loses in which type; [] if `quant` is a type of llama.cpp.

    Raises InputError if llama.cpp refuses the file or does not know the type.
    """
    import llama_cpp

    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.nthread = threads
    buffers: list[Any] = []
    of_most, overrides = quant, None
    for path in sensitivity:
        mix, of_most = mix_of(path, quant)
        overrides = overrides_of(mix)
        parameters.tt_overrides = overrides
    parameters.ftype = file_type(of_most)
    for path in matrix:
        parameters.imatrix, buffers = importance_entries(path)
    code = llama_cpp.llama_model_quantize(str(gguf).encode(), str(quantized).encode(), ctypes.byref(parameters))
    del buffers, overrides
    if code:
        raise InputError(
            f"{gguf}: llama.cpp cannot quantise it to {quant} (code {code}); is the file whole, and"
            " has the importance matrix all tensors?"
        )
