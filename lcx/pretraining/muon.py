"""Muon, an optimizer for matrices: it makes the update by momentum orthogonal. In float32 on CPUs that would have to emulate bf16."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

_MOMENTUM, _ITERATIONS = 0.95, 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration, as published


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) with Nesterov momentum and steps scaled to AdamW's size (Liu et al. 2025, arXiv 2502.16982).

    ``torch.optim.Muon`` does the same in bf16; on a CPU without bf16 units that took 0.3 s of a step of 0.5 s (benchmarks/LOG.md).

    Args:
        params: matrices, or groups of them as dicts with the key ``params``.
        lr: learning rate; a step changes entries by about 0.2 of it in root mean square.
    """

    def __init__(self, params: Iterable[Tensor] | Iterable[dict[str, Any]], lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """One update of every matrix that has a gradient; those of one shape are made orthogonal together."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    momentum = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                    momentum.lerp_(p.grad, 1 - _MOMENTUM)
                    shapes.setdefault(p.shape, []).append((p, p.grad.lerp(momentum, _MOMENTUM)))
            for shape, pairs in shapes.items():
                updates = orthogonal(torch.stack([update for _, update in pairs]))
                for (p, _), update in zip(pairs, updates, strict=True):
                    p.sub_(update, alpha=0.2 * max(shape) ** 0.5 * group["lr"])


def orthogonal(x: Tensor) -> Tensor:
    """Matrices (n, a, b) with their singular values moved near 1, by Newton-Schulz iteration; in bf16 on a GPU."""
    a, b, c = _COEFFICIENTS
    y = x.bfloat16() if x.device.type == "cuda" else x
    y = y.mT if y.shape[1] > y.shape[2] else y
    y = y / y.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(_ITERATIONS):
        gram = y @ y.mT
        y = a * y + (b * gram + c * gram @ gram) @ y
    y = y.mT if x.shape[1] > x.shape[2] else y
    return y.to(x.dtype)
