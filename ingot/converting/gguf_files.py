"""Write GGUF files in another type, with llama.cpp's own Python library."""

from pathlib import Path
from typing import Any

from ingot.io import planes
from ingot.io.container import Segment

DOWN, UP = ".lora_a", ".lora_b"
"""How llama.cpp names the two matrices of a LoRA."""


def cut_rank(down: Any, up: Any, rank: int) -> tuple[Any, Any]:
    """Return the two matrices of a LoRA, [r, inputs] and [outputs, r], as those of the nearest one of lower rank.

    Their product is the truncated singular value decomposition (Eckart and Young 1936), by rank / r, since llama.cpp
    scales by alpha / rank. The factors are orthogonalised first, so a matrix [outputs, inputs] is never made.
    """
    import numpy as np

    left, of_up = np.linalg.qr(up.astype(np.float64))
    right, of_down = np.linalg.qr(down.T.astype(np.float64))
    turned_up, values, turned_down = np.linalg.svd(of_up @ of_down.T)
    rank = min(rank, len(values))
    root = np.sqrt(values[:rank])
    lower = (root[:, None] * turned_down[:rank]) @ right.T
    return lower.astype(np.float32), (left @ turned_up[:, :rank] * root * (rank / len(down))).astype(np.float32)


def recast(source: Path, target: Path, name: str, rank: int | None = None) -> None:
    """Write a GGUF file of F32 tensors in the type `name`, such as Q8_0 or F16; a LoRA also with a lower `rank`.

    The rows of a tensor must be a multiple of the type's blocks, which are 32 weights in most types. A tensor whose
    rows are not, such as the second matrix of a LoRA of rank 16, is written as F16.
    """
    from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
    from gguf.constants import GGML_QUANT_SIZES
    from gguf.quants import quantize

    type_of_file = GGMLQuantizationType[name]
    block = GGML_QUANT_SIZES[type_of_file][0]
    reader = GGUFReader(source)
    writer = GGUFWriter(target, str(reader.fields["general.architecture"].contents()))
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    if rank:
        for down in [name for name in tensors if name.endswith(DOWN)]:
            up = down.removesuffix(DOWN) + UP
            if len(tensors[down]) == tensors[up].shape[1]:  # those of embeddings are stored the other way
                tensors[down], tensors[up] = cut_rank(tensors[down], tensors[up], rank)
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            inner: Any = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), field.types[0], inner)
    for tensor, data in tensors.items():
        type_of_tensor = type_of_file if data.shape[-1] % block == 0 else GGMLQuantizationType.F16
        writer.add_tensor(tensor, quantize(data, type_of_tensor), raw_dtype=type_of_tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def segments_of(path: Path) -> list[Segment]:
    """Cut a file into the segments that pack best. [] if nothing in it would pack better than as it is.

    Only tensors in which two of every four weights are zero are worth it: of others, zstd packs the codes as well where
    they stand, and a percent is not worth a file that other tools cannot unpack. A file that is no GGUF has none.
    """
    from gguf import GGUFReader

    try:
        tensors = sorted(GGUFReader(path).tensors, key=lambda tensor: int(tensor.data_offset))
    except ValueError:
        return []
    segments: list[Segment] = []
    end = 0
    for tensor in tensors:
        kind, start, count = tensor.tensor_type.name, int(tensor.data_offset), int(tensor.n_bytes)
        if kind in planes.LAYOUTS and planes.is_sparse(kind, tensor.data.tobytes()):
            segments += [(planes.RAW, start - end), (kind + planes.SPARSE, count)]
            end = start + count
    if not segments:
        return []
    segments.append((planes.RAW, path.stat().st_size - end))
    return [(kind, count) for kind, count in segments if count]
