"""Muon: the same steps as torch's own up to its bf16."""

import pytest
import torch

from lcx.pretraining.muon import Muon, orthogonal


def test_the_update_has_singular_values_near_one():
    x = torch.randn(3, 20, 50, generator=torch.Generator().manual_seed(0))
    for matrices in (x, x.mT):
        singular = torch.linalg.svdvals(orthogonal(matrices))
        assert singular.min() > 0.6
        assert singular.max() < 1.3


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch before 2.9")
def test_steps_equal_those_of_torch():
    generator = torch.Generator().manual_seed(1)
    ours = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((8, 24), (24, 8), (8, 24))]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    first = Muon(ours, lr=0.1)
    other = torch.optim.Muon(theirs, lr=0.1, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    start = [p.detach().clone() for p in ours]
    for _ in range(4):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn(p.shape, generator=generator)
            q.grad = p.grad.clone()
        first.step()
        other.step()
    for p, q, before in zip(ours, theirs, start, strict=True):
        assert (p - q).norm() < 0.03 * (q - before).norm(), "bf16 keeps two to three digits"
