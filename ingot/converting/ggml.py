"""Quantise and dequantise matrices with ggml's own code: the bytes are those that llama.cpp writes and reads."""

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

ROWS = 256
"""Rows that a thread takes at a time. Each row is quantised for itself, so the bytes do not depend on it."""


class Traits(ctypes.Structure):
    """The beginning of `struct ggml_type_traits` of ggml.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("block", ctypes.c_int64),
        ("interleaved", ctypes.c_int64),
        ("bytes", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
    )


@cache
def library() -> ctypes.CDLL:
    """Load the library that llama-cpp-python comes with."""
    import llama_cpp

    found = Path(llama_cpp.__file__).parent.glob("lib/*ggml-base*")  # one file, and links to it with version numbers
    loaded = ctypes.CDLL(str(min(found, key=lambda path: len(path.name))))
    loaded.ggml_get_type_traits.restype = ctypes.POINTER(Traits)
    loaded.ggml_quantize_requires_imatrix.restype = ctypes.c_bool
    loaded.ggml_quantize_chunk.restype = ctypes.c_size_t
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    loaded.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer, number, number, number, pointer]
    return loaded


def traits(kind: int) -> Any:
    """Return what ggml says of a type, by its number."""
    return library().ggml_get_type_traits(kind).contents


def bits(kind: int) -> float:
    """Return the bits that a weight takes in a type, with its share of the scales."""
    about = traits(kind)
    return float(8 * about.bytes / about.block)


def needs_importance(kind: int) -> bool:
    """Tell whether ggml rounds to a type only by the importance of the columns."""
    return bool(library().ggml_quantize_requires_imatrix(kind))


def quantize(weights: Any, kind: int, importance: Any, threads: int) -> Any:
    """Quantise a matrix float32 [rows, columns] to the type `kind`; return its bytes as uint8 [rows, bytes of a row].

    `importance` is float32 [columns], or None. ValueError if the type cannot do without, where ggml would abort.
    """
    import numpy as np

    if importance is None and needs_importance(kind):
        raise ValueError(f"{traits(kind).name.decode()} needs an importance matrix")
    rows, columns = weights.shape
    about = traits(kind)
    quantized = np.empty((rows, columns // about.block * about.bytes), dtype=np.uint8)
    weights = np.ascontiguousarray(weights, dtype=np.float32)
    if importance is not None:
        importance = np.ascontiguousarray(importance, dtype=np.float32)
    library().ggml_quantize_init(kind)

    def take(start: int) -> None:
        end = min(rows, start + ROWS)
        library().ggml_quantize_chunk(
            kind,
            weights[start:end].ctypes.data,
            quantized[start:end].ctypes.data,
            0,
            end - start,
            columns,
            importance.ctypes.data if importance is not None else None,
        )

    with ThreadPoolExecutor(threads) as pool:  # ggml is C, and lets other threads run
        list(pool.map(take, range(0, rows, ROWS)))
    return quantized


def dequantize(quantized: Any, kind: int, columns: int) -> Any:
    """Return the weights float32 [rows, columns] of a matrix uint8 [rows, bytes of a row] of the type `kind`."""
    import numpy as np

    weights = np.empty((len(quantized), columns), dtype=np.float32)
    quantized = np.ascontiguousarray(quantized)
    traits(kind).to_float(quantized.ctypes.data, weights.ctypes.data, weights.size)
    return weights


def rounded(weights: Any, kind: int, importance: Any, threads: int) -> Any:
    """Return what is left of a matrix float32 [rows, columns] in the type `kind`. See `quantize` for the arguments."""
    return dequantize(quantize(weights, kind, importance, threads), kind, weights.shape[1])
