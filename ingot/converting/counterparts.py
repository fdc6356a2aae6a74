"""Find which tensor of a GGUF file holds which weights of a checkpoint, and in which order of rows."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingot.converting.llama_cpp_tools import SOURCES
from ingot.errors import InputError


def name_map(model: Any) -> Any:
    """Return the converter's own table of names for a model: those of mistral's tensors are llama's."""
    sys.path[:0] = [str(SOURCES), str(SOURCES / "gguf-py")]
    import gguf
    from conversion import get_model_class

    architecture = get_model_class(type(model).__name__).model_arch
    return gguf.get_tensor_name_map(architecture, model.config.num_hidden_layers)


@dataclass(frozen=True)
class Counterpart:
    """A tensor of a GGUF file that holds a parameter of a checkpoint."""

    tensor: str
    order: Any
    """The row of the parameter that each row of the tensor is, int [rows]; None: they are in the same order."""

    def to_tensor(self, weights: Any) -> Any:
        """Bring weights [rows, ...] of a parameter into the order of the tensor."""
        return weights if self.order is None else weights[self.order]

    def to_parameter(self, weights: Any) -> Any:
        """Bring weights [rows, ...] of a tensor into the order of the parameter."""
        import numpy as np

        return weights if self.order is None else weights[np.argsort(self.order)]


def interleaved(rows: int, heads: int) -> Any:
    """Return the order in which llama.cpp wants the rows of queries and keys: the halves of each head in turns."""
    import numpy as np

    return np.arange(rows).reshape(heads, 2, rows // heads // 2).swapaxes(1, 2).reshape(-1)


def counterparts(model: Any, gguf: Path) -> dict[str, Counterpart]:
    """Return {name of a parameter: its tensor} of a checkpoint and the 16-bit GGUF file that was made from it.

    Vectors that the converter changes, such as the norms of Gemma, are left out.

    Raises InputError if a matrix has no tensor with the same weights.
    """
    import numpy as np
    from gguf import GGUFReader

    names = name_map(model)
    tensors = {tensor.name: tensor.data for tensor in GGUFReader(gguf).tensors}
    config = model.config
    heads = {config.num_attention_heads, getattr(config, "num_key_value_heads", None) or config.num_attention_heads}
    found = {}
    for name, parameter in model.named_parameters():
        tensor = names.get_name(name, try_suffixes=(".weight", ".bias"))
        weights = parameter.detach().float().cpu().numpy()
        there = tensors.get(tensor)
        if there is not None and there.shape == weights.shape:
            rows = len(weights)
            orders = [None, *(interleaved(rows, count) for count in sorted(heads) if rows % (2 * count) == 0)]
            for order in orders:
                one = Counterpart(tensor, order)
                # Half precision has 11 bits, and its smallest number is 6e-8.
                if np.allclose(one.to_tensor(weights), there.astype(np.float32), rtol=2**-10, atol=1e-7):
                    found[name] = one
                    break
        if name not in found and parameter.ndim > 1:
            raise InputError(f"{name} is no tensor of {gguf} as it is; neither `distil` nor mixes can treat it")
    return found
