"""Train a model through the rounding of a GGUF type: weights that llama.cpp's own arithmetic leaves as they are good.

The forward pass takes each matrix as the file will hold it. Gradients go to the weight before rounding, as if there
were none (straight-through estimator, Bengio et al. 2013, arXiv:1308.3432). What the model learns are the predictions
of its parent (Hinton et al. 2015, arXiv:1503.02531; for quantisation Liu et al. 2023, arXiv:2305.17888).
"""

from pathlib import Path
from typing import Any

from ingot.converting import ggml
from ingot.converting.counterparts import Counterpart
from ingot.inference.device import compute_dtype
from ingot.training.fit import LossOf, Rows, parts_of

PLAIN = {"F32": "float32", "F16": "float16"}
"""Types whose tensors are written as they are, without blocks."""


class RoundedModel:
    """A model whose matrices are computed with as a GGUF file of mixed types holds them."""

    def __init__(
        self, model: Any, start: Path, counterparts: dict[str, Counterpart], importance: dict[str, Any], threads: int
    ) -> None:
        """Round `model` to the types of the tensors in the GGUF file `start`.

        `importance` are vectors float32 [inputs] by tensor, as llama.cpp's importance matrix has them.
        """
        import torch
        from gguf import GGUFReader

        self.model, self.start, self.importance, self.threads = model, start, importance, threads
        self.tensors = {tensor.name: tensor for tensor in GGUFReader(start).tensors}
        self.of = {name: self.tensors[one.tensor] for name, one in counterparts.items()}
        self.counterparts = counterparts
        self.parameters = {name: parameter for name, parameter in model.named_parameters() if name in counterparts}
        self.changes: dict[str, Any] = {}
        holders = self.holders()
        for name, parameter in self.parameters.items():
            if self.of[name].tensor_type.name in PLAIN:
                continue
            change = torch.nn.Parameter(torch.zeros_like(parameter), requires_grad=False)
            rounding = added(change)
            for module, attribute in holders[id(parameter)]:  # two, where input and output embeddings are tied
                torch.nn.utils.parametrize.register_parametrization(module, attribute, rounding)
            self.changes[name] = change
        self.round()

    def holders(self) -> dict[int, list[tuple[Any, str]]]:
        """List the modules that hold each parameter: {id: [(module, attribute)]}."""
        found: dict[int, list[tuple[Any, str]]] = {}
        for module in self.model.modules():
            for attribute, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
                found.setdefault(id(parameter), []).append((module, attribute))
        return found

    def rounded(self, name: str) -> tuple[Any, Any]:
        """Round a matrix; return the bytes of its tensor, and the weights that they stand for."""
        one, tensor = self.counterparts[name], self.of[name]
        weights = one.to_tensor(self.parameters[name].detach().float().cpu().numpy())
        kind = int(tensor.tensor_type)
        quantized = ggml.quantize(weights, kind, self.importance.get(tensor.name), self.threads)
        return quantized, one.to_parameter(ggml.dequantize(quantized, kind, weights.shape[1]))

    def round(self) -> None:
        """Look anew what rounding changes."""
        import torch

        with torch.no_grad():
            for name, change in self.changes.items():
                _, weights = self.rounded(name)
                change.copy_(torch.from_numpy(weights).to(change) - self.parameters[name])

    def write(self, path: Path) -> None:
        """Write the GGUF file: that of `start`, with the weights as they are now. The model gets what it holds."""
        import shutil

        import numpy as np
        import torch
        from torch.nn.utils import parametrize

        shutil.copyfile(self.start, path)
        with path.open("r+b") as file, torch.no_grad():
            for name, parameter in self.parameters.items():
                tensor = self.of[name]
                if name in self.changes:
                    quantized, weights = self.rounded(name)
                    parameter.copy_(torch.from_numpy(weights))
                    self.changes[name].zero_()
                else:
                    plain = self.counterparts[name].to_tensor(parameter.detach().float().cpu().numpy())
                    quantized = plain.astype(PLAIN[tensor.tensor_type.name])
                data = np.ascontiguousarray(quantized).tobytes()
                assert len(data) == tensor.n_bytes, name
                file.seek(int(tensor.data_offset))
                file.write(data)
        for module in list(self.model.modules()):
            for attribute in list(getattr(module, "parametrizations", ())):
                parametrize.remove_parametrizations(module, attribute, leave_parametrized=False)


def added(change: Any) -> Any:
    """Make a module that adds `change` to what it gets. Gradients pass through it as they are."""
    import torch

    class Added(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.change = change

        def forward(self, weight: Any) -> Any:
            return weight + self.change

    return Added()


def learn_from(teacher: Any, pad: int) -> LossOf:
    """Make the loss of a model that learns the predictions of a teacher: their mean KL divergence, in nats.

    Every token counts, those of prompts as well; `pad` fills rows up.
    """
    import torch
    from torch.nn.functional import kl_div, log_softmax

    mixed_precision = compute_dtype() == torch.bfloat16

    def loss_of(model: Any, rows: Rows, accumulation: int) -> float:
        counted, total = (rows["input_ids"] != pad).sum().item(), 0.0
        for part in parts_of(rows, accumulation, model.device):
            kept = part["input_ids"] != pad
            inputs = {name: values for name, values in part.items() if name != "labels"}
            with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=mixed_precision):
                with torch.no_grad():
                    wanted = teacher(**inputs).logits[kept]
                given = model(**inputs).logits[kept]
            likely, wanted = log_softmax(given.float(), -1), log_softmax(wanted.float(), -1)
            loss = kl_div(likely, wanted, log_target=True, reduction="sum") / counted
            loss.backward()
            total += loss.item()
        return total

    return loss_of
