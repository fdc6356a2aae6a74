"""Zeros: how many a model has, where they are, and keeping them through training."""

from typing import Any

PARTS = {"attention": "self_attn", "feed_forward": "mlp"}


def pruned_matrices(model: Any) -> dict[str, Any]:
    """Return the weight matrices of attention and feed-forward blocks by name."""
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.dim() == 2 and any(part in name for part in PARTS.values())
    }


def shares(model: Any) -> dict[str, float]:
    """Return the share of zeros in attention, in feed-forward blocks, and in all weights of the model."""
    counts = {part: [0, 0] for part in (*PARTS, "all")}
    for name, parameter in model.named_parameters():
        zeros, size = int((parameter == 0).sum()), parameter.numel()
        for part in [p for p, mark in PARTS.items() if mark in name and parameter.dim() == 2] + ["all"]:
            counts[part][0] += zeros
            counts[part][1] += size
    return {part: round(zeros / size, 4) for part, (zeros, size) in counts.items() if size}


def is_two_of_four(matrix: Any) -> bool:
    """Tell whether every group of four neighbouring inputs has at most two weights that are not zero."""
    return bool(((matrix.reshape(-1, 4) != 0).sum(1) <= 2).all())


class Mask:
    """Remembers where a model's matrices are zero, and puts the zeros back after every optimizer step."""

    def __init__(self, model: Any) -> None:
        """Remember the zeros that the model has now."""
        self.matrices = pruned_matrices(model)
        self.kept = {name: matrix != 0 for name, matrix in self.matrices.items()}

    def apply(self) -> None:
        """Set what was zero to zero again."""
        import torch

        with torch.no_grad():
            for name, matrix in self.matrices.items():
                matrix.mul_(self.kept[name])

    def broken(self) -> int:
        """Return how many weights that were zero are not zero now."""
        return sum(int((matrix[~self.kept[name]] != 0).sum()) for name, matrix in self.matrices.items())
