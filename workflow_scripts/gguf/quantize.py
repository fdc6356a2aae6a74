"""Quantise the 16-bit GGUF file to one of llama.cpp's types, guided by the importance matrix if there is one."""

import ctypes
from pathlib import Path
from typing import Any

from ingot.converting.gguf_types import file_type
from ingot.errors import InputError


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


def quantize(gguf: Path, matrix: list[Path], quantized: Path, *, quant: str, threads: int) -> None:
    """Write the GGUF file in the type `quant`. `matrix` is the file of the importance matrix, or [].

    Raises InputError if llama.cpp refuses the file or does not know the type.
    """
    import llama_cpp

    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = file_type(quant)
    parameters.nthread = threads
    buffers: list[Any] = []
    for path in matrix:
        parameters.imatrix, buffers = importance_entries(path)
    code = llama_cpp.llama_model_quantize(str(gguf).encode(), str(quantized).encode(), ctypes.byref(parameters))
    del buffers
    if code:
        raise InputError(
            f"{gguf}: llama.cpp cannot quantise it to {quant} (code {code}); is the file whole, and"
            " has the importance matrix all tensors?"
        )
