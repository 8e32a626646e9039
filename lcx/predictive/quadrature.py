"""Integrals of a cdf that have no closed form: CRPS inside bounds, and what a warp leaves of moments there."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lcx.predictive.mixture import Mixture
from lcx.predictive.warp import AsinhWarp

CHUNK = 2**18  # numbers in one temporary of a quadrature: 2 MB in float64, which a cache holds; less memory, no slower
# Kronrod extensions of a Gauss-Lobatto rule to 7 and 13 nodes on [-1, 1], nodes >= 0 (Gander & Gautschi 2000, BIT 40).
NODES = [1.0, 0.942882415695480, (2 / 3) ** 0.5, 0.641853342345781, 0.2**0.5, 0.236383199662150, 0.0]
COARSE = [77 / 1470, 0.0, 432 / 1470, 0.0, 625 / 1470, 0.0, 672 / 1470]
FINE = [0.0158271919734802, 0.094273840218850, 0.155071987336585, 0.188821573960182, 0.199773405226859,
        0.224926465333340, 0.242611071901408]  # fmt: skip


def integral(
    law: Mixture, warp: AsinhWarp | None, split: Float[Tensor, "*#out"], kernel: Callable[[Tensor, Tensor], Tensor]
) -> Float[Tensor, "*out"]:
    """∫ k(y - split, D) D dy with D(y) = F(y) - 1{y >= split}: panels of u are halved until two rules agree.

    The ends are nodes too, so that no rise of F between two goes unseen. The tolerance is relative to the integral
    over a point's own spread, which a far split does not enlarge. With 1000 panels a point, the rest is rounding.

    Args:
        law: of u.
        warp: of y, the user's unit, to u; None for y = u.
        split: where the indicator rises, user's unit; broadcasts with the points of the law.
        kernel: of y - split and D.
    """
    shape, size = torch.Size(np.broadcast_shapes(split.shape, law.loc.shape[:-1])), law.loc.shape[-1]
    law, split, eps = law.flat(shape), split.expand(shape).reshape(-1), torch.finfo(split.dtype).eps
    warp = warp and AsinhWarp(*(x.expand(shape).reshape(-1) for x in (warp.center, warp.scale)))
    nodes = split.new_tensor([-x for x in NODES] + NODES[-2::-1])
    fine, coarse = (split.new_tensor(w + w[-2::-1]) for w in (FINE, COARSE))
    low, high = law.reach(8 + (0 if warp is None else 2) * law.scale.amax(-1))  # in sds; sinh(u)² peaks 2 scale_k out
    knots = torch.stack([low, split if warp is None else warp.forward(split), high], -1).sort(-1).values
    point, sums = torch.arange(len(split), device=split.device), low.new_zeros(2, len(low))
    while len(point):
        point, ends, parts = point.repeat_interleave(2), knots.unfold(-1, 2, 1).reshape(-1, 2), []
        for i, end in zip(*(x.split(max(1, CHUNK // (13 * size))) for x in (point, ends)), strict=True):
            here, half = warp and AsinhWarp(warp.center[i, None], warp.scale[i, None]), 0.5 * (end[:, 1:] - end[:, :1])
            u = end.mean(-1, keepdim=True) + half * nodes
            y = u if here is None else here.inverse(u)
            upper = y[:, 6:7] >= split[i, None]  # there D is minus the upper tail, which keeps its digits
            d = torch.where(upper, -1.0, 1.0) * law.at(i).tail(u, upper)
            rise = d * (half if here is None else half * torch.exp(-here.log_slope(y)))
            k = kernel(y - split[i, None], d)
            top, value = k.abs().amax(-1, keepdim=True), k * rise
            error = (torch.stack([value, rise * top]) @ (fine - coarse)).abs().amax(0)
            noise = 8 * eps * (top * rise * u / half).abs().amax(-1)  # u is rounded
            parts.append(torch.stack([value @ fine, error - noise, (value.abs() * (1 - d.abs())) @ fine]))
        value, error, share = torch.cat(parts, -1)
        rough = (error > eps**0.5 * sums[1].index_add(0, point, share)[point]) & (len(point) < 1000 * len(split))
        sums = sums.index_add(1, point, torch.stack([value, share]).masked_fill(rough, 0))
        point, ends = point[rough], ends[rough]
        knots = torch.stack([ends[:, 0], ends.mean(-1), ends[:, 1]], -1)
    return sums[0].reshape(shape)
