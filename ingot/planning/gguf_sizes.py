"""Ask llama.cpp how large the GGUF files of a model would be: `python -m ingot.planning.gguf_sizes CONFIG TYPE ...`.

CONFIG is the path of a config.json of Llama's kind. A 16-bit file of its shape is made, which is all hole: it takes no
room on the disk. llama.cpp then quantises it without doing so (`dry_run`), and says the size. Prints {type: bytes} as
JSON; a type that it refuses is left out. The tokenizer is not counted.
"""

import ctypes
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from ingot.converting.gguf_types import file_type
from ingot.converting.mixes import fewest_bits
from ingot.planning.weights import Weights, weights_of
from ingot.quantities import bits_of

SAID = re.compile(r"quant size\s*=\s*([\d.]+) MiB")
ALIGNMENT = 32
LISTENING: list[Any] = []
"""Keeps what llama.cpp calls, as long as it may be called."""


def tensors_of(weights: Weights) -> list[tuple[str, tuple[int, ...]]]:
    """List name and shape of every tensor, as llama.cpp calls them."""
    names = {
        "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output",
        "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down",
    }  # fmt: skip
    table = (weights.vocabulary, weights.hidden)
    tensors: list[tuple[str, tuple[int, ...]]] = [("token_embd.weight", table), ("output_norm.weight", table[1:])]
    tensors += [] if weights.tied else [("output.weight", table)]
    for block in range(weights.layers):
        tensors += [(f"blk.{block}.{name}.weight", (weights.hidden,)) for name in ("attn_norm", "ffn_norm")]
        tensors += [(f"blk.{block}.{names[name]}.weight", shape) for name, shape in weights.matrices.items()]
    return tensors


def write_hollow(path: Path, weights: Weights) -> int:
    """Write a GGUF file whose tensors are all hole; return its size in bytes."""
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(weights.context)
    writer.add_embedding_length(weights.hidden)
    writer.add_block_count(weights.layers)
    writer.add_feed_forward_length(weights.feed_forward)
    writer.add_head_count(weights.heads)
    writer.add_head_count_kv(weights.kv_heads)
    writer.add_key_length(weights.head)
    writer.add_value_length(weights.head)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(weights.head)
    writer.add_vocab_size(weights.vocabulary)
    size = 0
    for name, shape in tensors_of(weights):
        dtype = np.dtype(np.float32 if len(shape) == 1 else np.float16)  # as the converter does
        count = int(np.prod(shape)) * dtype.itemsize
        writer.add_tensor_info(name, list(shape), dtype, count)
        size += -(-count // ALIGNMENT) * ALIGNMENT
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    (file,) = writer.fout  # type: ignore[misc]
    whole: int = -(-file.tell() // ALIGNMENT) * ALIGNMENT + size
    file.truncate(whole)
    writer.close()
    return whole


def size_of_mix(weights: Weights, bits: float) -> int:
    """Return the bytes of a mix of so many bits a weight, or of the smallest types that the widths allow."""
    least = 4.0 * sum(shape[0] for _, shape in tensors_of(weights) if len(shape) == 1)
    for name, shape in tensors_of(weights):
        if len(shape) == 2:
            least += shape[0] * shape[1] * fewest_bits(shape[1], has_importance=name.startswith("blk")) / 8
    return round(max(bits / 8 * weights.parameters, least))


def sizes_of(config: dict[str, Any], types: list[str]) -> dict[str, int]:
    """Return the bytes of a file of each type.

    For a process of its own: what llama.cpp says afterwards is heard by nobody.
    """
    import llama_cpp

    said: list[str] = []

    @llama_cpp.llama_log_callback
    def listen(_level: int, text: bytes, _data: ctypes.c_void_p) -> None:
        said.append(text.decode(errors="replace"))

    llama_cpp.llama_log_set(listen, ctypes.c_void_p(0))
    LISTENING.append(listen)
    sizes, weights = {}, weights_of(config)
    with tempfile.TemporaryDirectory() as folder:
        hollow = Path(folder) / "hollow.gguf"
        whole = write_hollow(hollow, weights)
        for quant in types:
            if bits_of(quant):
                sizes[quant] = size_of_mix(weights, bits_of(quant))
                continue
            said.clear()
            parameters = llama_cpp.llama_model_quantize_default_params()
            parameters.ftype, parameters.dry_run = file_type(quant), True
            code = llama_cpp.llama_model_quantize(
                str(hollow).encode(), f"{folder}/nothing.gguf".encode(), ctypes.byref(parameters)
            )
            found = SAID.search("".join(said))
            if quant == "F16":
                sizes[quant] = whole
            elif code == 0 and found:
                sizes[quant] = round(float(found[1]) * (1 << 20))
    return sizes


if __name__ == "__main__":
    content = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(json.dumps(sizes_of(content, sys.argv[2:])))  # noqa: T201
