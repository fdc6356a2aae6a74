"""The types of GGUF files, as llama.cpp numbers them."""

from ingot.errors import InputError


def file_type(quant: str) -> int:
    """Return llama.cpp's number of a type such as Q5_K_M. Raises InputError, with a list of all types, if unknown."""
    import llama_cpp

    prefixes = ("LLAMA_FTYPE_MOSTLY_", "LLAMA_FTYPE_ALL_")
    numbers = {n[len(p) :]: int(getattr(llama_cpp, n)) for p in prefixes for n in dir(llama_cpp) if n.startswith(p)}
    # The file whose name says the same.
    numbers |= {"MXFP4": numbers["MXFP4_MOE"], **{name: numbers[f"{name}_M"] for name in ("Q3_K", "Q4_K", "Q5_K")}}
    if quant not in numbers:
        raise InputError(f"llama.cpp has no type {quant!r}; it has {', '.join(sorted(numbers))}")
    return numbers[quant]


def tensor_type(quant: str) -> int:
    """Return ggml's number of a type of tensors such as Q5_K."""
    from gguf import GGMLQuantizationType

    return int(GGMLQuantizationType[quant])
