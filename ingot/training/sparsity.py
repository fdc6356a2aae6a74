"""Count the zeros of a model, keep them zero through training, and let their number grow in its course."""

import re
from typing import Any

from ingot.errors import InputError
from ingot.quantities import steps_of
from ingot.settings.compress import Gradual

PARTS = {"attention": r".*self_attn.*_proj", "feed_forward": r".*mlp.*_proj"}
"""The layers whose weights may become zero, by the part of the model: what their names match."""


def part_of(name: str) -> str:
    """Return the part of a model that a matrix belongs to, by the name of its parameter; "" if it is in none."""
    layer = name.removesuffix(".weight")
    return next((part for part, pattern in PARTS.items() if re.fullmatch(pattern, layer)), "")


def pruned_matrices(model: Any) -> dict[str, Any]:
    """Find the weight matrices of attention and feed-forward blocks: {name: matrix}."""
    return {name: one for name, one in model.named_parameters() if one.dim() == 2 and part_of(name)}


def shares(model: Any) -> dict[str, float]:
    """Compute the share of zeros in attention, in feed-forward blocks, and in all weights of the model, from 0 to 1."""
    counts = {part: [0, 0] for part in (*PARTS, "all")}
    for name, parameter in model.named_parameters():
        zeros, size = int((parameter == 0).sum()), parameter.numel()
        inside = part_of(name) if parameter.dim() == 2 else ""
        for part in (inside, "all") if inside else ("all",):
            counts[part][0] += zeros
            counts[part][1] += size
    return {part: round(zeros / size, 4) for part, (zeros, size) in counts.items() if size}


def is_two_of_four(matrix: Any) -> bool:
    """Tell whether a matrix [outputs, inputs] is 2:4 sparse: of four neighbouring inputs, at most two are not zero."""
    return bool(((matrix.reshape(-1, 4) != 0).sum(1) <= 2).all())


class Mask:
    """Remembers where a model's matrices are zero, and puts the zeros back after every optimizer step.

    With `gradual`, their number grows in the course of a training of so many `steps`: fast at first, then ever slower
    (Zhu and Gupta 2017, arXiv:1710.01878). The smallest weights of each matrix go.
    """

    def __init__(self, model: Any, gradual: Gradual | None = None, steps: int = 0) -> None:
        """Remember the zeros that the model has now. InputError if there are no matrices whose zeros can grow."""
        self.matrices, self.gradual = pruned_matrices(model), gradual
        if gradual and not self.matrices:
            raise InputError("recover.gradual: this model has no layers of known names to prune; set it to null")
        self.last = steps_of(gradual.until, steps) if gradual else 0
        self.kept = {name: matrix != 0 for name, matrix in self.matrices.items()}
        self.first = {name: 1 - int(kept.count_nonzero()) / kept.numel() for name, kept in self.kept.items()}

    def go_on(self) -> None:
        """Remember the zeros that have come since, in a training that was killed, as well."""
        if self.gradual:
            for name, matrix in self.matrices.items():
                self.kept[name] &= matrix != 0

    def apply(self, step: int = 0) -> None:
        """Set the remembered zeros to zero again, and others where more are due after so many steps."""
        import torch

        with torch.no_grad():
            for name, matrix in self.matrices.items():
                matrix.mul_(self.kept[name])
                if self.gradual and step <= self.last and (step % self.gradual.every == 0 or step == self.last):
                    zeros = round(self.wanted(name, step) * matrix.numel())
                    smallest = matrix.abs().flatten().topk(zeros, largest=False, sorted=False).indices
                    self.kept[name].view(-1)[smallest] = False
                    matrix.mul_(self.kept[name])

    def wanted(self, name: str, step: int) -> float:
        """Return the share of zeros that a matrix has after so many steps."""
        first, last = self.first[name], getattr(self.gradual, part_of(name))
        return float(max(first, last + (first - last) * (1 - step / self.last) ** 3))

    def broken(self) -> int:
        """Count the weights that were zero and are not zero now."""
        return sum(int((matrix[~self.kept[name]] != 0).sum()) for name, matrix in self.matrices.items())
