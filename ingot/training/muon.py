"""The optimizer Muon, in the number format that the hardware computes fast. torch's own always uses bfloat16."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from ingot.inference.device import compute_dtype

# Coefficients and steps of the quintic Newton-Schulz iteration: Jordan et al. 2024, kellerjordan.github.io/posts/muon
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5
MOMENTUM = 0.95


def orthogonalized(matrices: Any) -> Any:
    """Bring the singular values of matrices [n, rows, columns] to about 1, by a Newton-Schulz iteration."""
    import torch

    a, b, c = COEFFICIENTS
    x = matrices.to(compute_dtype())
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)


class Muon:
    """Moves matrices along their orthogonalized momentum, in steps of Adam's size (Liu et al. 2025, arXiv:2502.16982).

    The momentum is Nesterov's, and the weight decay is decoupled, as in torch.optim.Muon. Matrices of one shape are
    stacked and computed together.
    """

    def __init__(self, parameters: Iterable[Any], lr: float, weight_decay: float) -> None:
        """Take the matrices to train. The caller may change the rate in `param_groups` between steps."""
        import torch

        self.param_groups: list[dict[str, Any]] = [{"params": list(parameters), "lr": lr}]
        self.weight_decay = weight_decay
        self.stacks: dict[Any, list[Any]] = defaultdict(list)
        for parameter in self.param_groups[0]["params"]:
            self.stacks[parameter.shape].append(parameter)
        self.momenta = {shape: torch.zeros_like(torch.stack(stack)) for shape, stack in self.stacks.items()}

    def step(self) -> None:
        """Move every matrix by one step along its gradient."""
        import torch

        rate = self.param_groups[0]["lr"]
        with torch.no_grad():
            for shape, stack in self.stacks.items():
                gradients = torch.stack([parameter.grad for parameter in stack])
                momenta = self.momenta[shape].lerp_(gradients, 1 - MOMENTUM)
                updates = orthogonalized(gradients.lerp(momenta, MOMENTUM))
                size = 0.2 * max(shape) ** 0.5
                torch._foreach_mul_(stack, 1 - rate * self.weight_decay)
                torch._foreach_add_(stack, list(updates), alpha=-rate * size)

    def state_dict(self) -> dict[str, Any]:
        """Return what the optimizer remembers, in the form of torch's optimizers."""
        return {"state": dict(enumerate(self.momenta.values()))}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Remember what `state_dict` has returned."""
        for i, momentum in enumerate(self.momenta.values()):
            momentum.copy_(saved["state"][i])
