import torch

from ingot.training.muon import Muon, orthogonalized


def test_singular_values_come_to_about_one() -> None:
    torch.manual_seed(0)
    for shape in ((3, 16, 48), (3, 48, 16)):
        values = torch.linalg.svdvals(orthogonalized(torch.randn(shape)))
        assert values.min() > 0.5 and values.max() < 1.5


def test_steps_are_those_of_torchs_muon_up_to_its_rounding() -> None:
    torch.manual_seed(0)
    start = [torch.randn(shape) * 0.1 for shape in ((64, 32), (32, 64), (64, 32))]
    theirs = [torch.nn.Parameter(matrix.clone()) for matrix in start]
    ours = [torch.nn.Parameter(matrix.clone()) for matrix in start]
    reference = torch.optim.Muon(theirs, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    muon = Muon(ours, lr=0.01, weight_decay=0.1)
    for _ in range(5):
        for a, b in zip(theirs, ours, strict=True):
            a.grad = torch.randn(a.shape)
            b.grad = a.grad.clone()
        reference.step()
        muon.step()
    moved = max((a - b).abs().max() for a, b in zip(ours, start, strict=True))
    apart = max((a - b).abs().max() for a, b in zip(ours, theirs, strict=True))
    assert apart < 0.02 * moved
