"""Moments and quantiles of many predictives at once: what ``Predictive`` answers, by a shorter way where that loses no digits.

Bounds are what costs: with them a moment is an integral and a quantile is searched for on the truncated law. Where most of the mixture
lies inside, both follow from the mixture without bounds; the other points are left to ``Predictive``.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lcx.predictive import Predictive

_POINTS = 1 << 11  # searched for at once: few enough to stay in a CPU's cache, and not to wait long for the slowest
_INSIDE = 0.5  # least mass within the bounds for the short way
_TAIL = 1e-7  # levels nearer to 0 or 1 are left to Predictive, whose tails are relatively exact
_ROUNDING = 1e-9  # most that rounding may be of a variance


def moments(law: Predictive) -> tuple[Float[Tensor, "N"], Float[Tensor, "N"]]:
    """Mean and variance of each of N points, user's unit and its square; a law without a warp.

    For any c, with d = loc - c, s the scale and Z the mass of a component between its z-scores alpha and beta of the bounds:
    E[(Y - c) 1] = sum w (d Z + s (phi(alpha) - phi(beta))) and
    E[(Y - c)² 1] = sum w ((d² + s²) Z + s phi(alpha) (alpha s + 2 d) - s phi(beta) (beta s + 2 d)), 1 being 1{lower <= Y <= upper}.
    """
    if law.lower is None and law.upper is None:
        return law.mean, law.variance
    weight, below, above = _outside(law)
    ends = [None if bound is None else bound[..., None] for bound in (law.lower, law.upper)]
    center = (weight * law.loc).sum(-1, keepdim=True).clamp(*ends)
    d, between = law.loc - center, weight * (1 - below - above)
    inside = between.sum(-1)
    first, second = between * d, between * (d.square() + law.scale.square())
    size = (weight * (d.square() + law.scale.square())).sum(-1)
    for bound, side in zip(ends, (1.0, -1.0), strict=True):
        if bound is not None:
            z = (bound - law.loc) / law.scale
            rise = weight * law.scale * torch.exp(-0.5 * z * z) * (side / math.sqrt(2 * math.pi))
            first, second = first + rise, second + rise * (bound - law.loc + 2 * d)
    shift = first.sum(-1) / inside
    variance = second.sum(-1) / inside - shift.square()
    short = (inside >= _INSIDE) & (torch.finfo(size.dtype).eps * size <= _ROUNDING * variance)
    mean = _or_exactly(lambda p: p.mean, law, short, center.squeeze(-1) + shift)
    return mean, _or_exactly(lambda p: p.variance, law, short, variance)


def quantiles(law: Predictive, levels: Float[Tensor, "K"]) -> Float[Tensor, "N K"]:
    """Quantiles of each of N points, user's unit; a law without a warp.

    The p-quantile within the bounds is that of the mixture without them at F(lower) + p (F(upper) - F(lower)).
    """
    parts = []
    for part in law.split(max(1, _POINTS // len(levels))):
        p = levels[:, None].expand(-1, len(part.loc))
        if law.lower is None and law.upper is None:
            parts.append(part.icdf(p).T)
            continue
        weight, below, above = _outside(part)
        below, above = (weight * below).sum(-1), (weight * above).sum(-1)
        inside = 1 - below - above
        short = (inside >= _INSIDE) & (levels.min() >= _TAIL) & (levels.max() <= 1 - _TAIL)
        free = Predictive(part.logits, part.loc, part.scale)
        # A point that is not short is solved for all the same, at its own p.
        found = free.icdf(torch.where(short, below + p * inside, p)).clamp(part.lower, part.upper)
        parts.append(_or_exactly(lambda q: q.icdf(levels[:, None].expand(-1, len(q.loc))).T, part, short, found.T))
    return torch.cat(parts)


def _outside(law: Predictive) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, and mass of each component below the lower and above the upper bound, (N, K) each."""
    ends = []
    for bound, side in ((law.lower, 1.0), (law.upper, -1.0)):
        z = torch.full_like(law.loc, math.inf) if bound is None else side * (law.loc - bound[..., None]) / law.scale
        ends.append(0.5 * torch.erfc(z * math.sqrt(0.5)))
    return torch.softmax(law.logits, -1), *ends


def _or_exactly(question: Callable[[Predictive], Tensor], law: Predictive, short: Bool[Tensor, "N"], found: Tensor) -> Tensor:
    """``found`` where ``short``, else the answer of the law itself."""
    if short.all():
        return found
    index = (~short).nonzero().squeeze(-1)
    lower, upper = (None if bound is None else bound.expand(law.batch_shape)[index] for bound in (law.lower, law.upper))
    return found.index_copy(0, index, question(Predictive(law.logits[index], law.loc[index], law.scale[index], lower, upper)))
