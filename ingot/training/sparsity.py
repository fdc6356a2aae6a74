"""Count the zeros of a model, and keep them zero through training."""

from typing import Any

PARTS = {"attention": "self_attn", "feed_forward": "mlp"}


def pruned_matrices(model: Any) -> dict[str, Any]:
    """Find the weight matrices of attention and feed-forward blocks: {name: matrix}."""
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.dim() == 2 and any(part in name for part in PARTS.values())
    }


def shares(model: Any) -> dict[str, float]:
    """Compute the share of zeros in attention, in feed-forward blocks, and in all weights of the model, from 0 to 1."""
    counts = {part: [0, 0] for part in (*PARTS, "all")}
    for name, parameter in model.named_parameters():
        zeros, size = int((parameter == 0).sum()), parameter.numel()
        for part in [p for p, name_part in PARTS.items() if name_part in name and parameter.dim() == 2] + ["all"]:
            counts[part][0] += zeros
            counts[part][1] += size
    return {part: round(zeros / size, 4) for part, (zeros, size) in counts.items() if size}


def is_two_of_four(matrix: Any) -> bool:
    """Tell whether a matrix [outputs, inputs] is 2:4 sparse: of four neighbouring inputs, at most two are not zero."""
    return bool(((matrix.reshape(-1, 4) != 0).sum(1) <= 2).all())


class Mask:
    """Remembers where a model's matrices are zero, and puts the zeros back after every optimizer step."""

    def __init__(self, model: Any) -> None:
        """Remember the zeros that the model has now."""
        self.matrices = pruned_matrices(model)
        self.kept = {name: matrix != 0 for name, matrix in self.matrices.items()}

    def apply(self, _: int = 0) -> None:
        """Set the remembered zeros to zero again."""
        import torch

        with torch.no_grad():
            for name, matrix in self.matrices.items():
                matrix.mul_(self.kept[name])

    def broken(self) -> int:
        """Count the weights that were zero and are not zero now."""
        return sum(int((matrix[~self.kept[name]] != 0).sum()) for name, matrix in self.matrices.items())
