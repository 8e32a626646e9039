"""A mixture of normals between bounds: masses and moments in closed form.

Cut at two bounds it is a mixture of cut normals with other weights. With d = loc - c for any c, s the scale, Z the mass of a component
between its z-scores alpha and beta of the bounds, and 1 = 1{low <= U <= high}:
E[(U - c) 1] = sum w (d Z + s (phi(alpha) - phi(beta))),
E[(U - c)² 1] = sum w ((d² + s²) Z + s phi(alpha) (alpha s + 2 d) - s phi(beta) (beta s + 2 d)).
Where little lies within the bounds, or little of what is added up remains, these lose digits: such points are left to `tails`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lcx.predictive import quantiles, tails
from lcx.predictive.tails import Cut

_LEAST = 2.0**-10  # mass within the bounds below which a point is left to `tails`
_DEEP = 2.0**-20  # a level's mass, by the mass that the bound before it cuts off, below which it is too
_ROUNDING = 1e-10  # of a variance, by which it may be off before it is
_CHUNK = 1 << 14  # components in one temporary of a search, which a cache holds
_PIECES = 1 << 13  # components mended at once
_ROOT = math.sqrt(0.5)


@dataclass(frozen=True, eq=False)
class Mixture:
    """U ~ sum_k w_k Normal(loc_k, scale_k²) given low <= U <= high, one law a point; no bounds at all are None."""

    logits: Float[Tensor, "*batch K"]
    loc: Float[Tensor, "*batch K"]
    scale: Float[Tensor, "*batch K"]
    low: Float[Tensor, "*#batch"] | None = None
    high: Float[Tensor, "*#batch"] | None = None

    @cached_property
    def weight(self) -> Float[Tensor, "*batch K"]:
        """w_k."""
        return torch.softmax(self.logits, -1)

    @cached_property
    def half(self) -> Float[Tensor, "*batch K"]:
        """w_k / 2, by which erfc is summed. With erfc, for torch.special.ndtr has no correct digit left below -8."""
        return 0.5 * self.weight

    @cached_property
    def rate(self) -> Float[Tensor, "*batch K"]:
        """1 / (scale_k sqrt(2)), the scale on which erfc takes what lies from loc_k."""
        return _ROOT / self.scale

    @cached_property
    def beyond(self) -> tuple[Float[Tensor, "*batch K"], Float[Tensor, "*batch K"]]:
        """Mass of each component below the lower and above the upper bound."""
        assert self.low is not None
        assert self.high is not None
        return (
            torch.erfc((self.loc - self.low[..., None]) * self.rate).mul(self.half),
            torch.erfc((self.high[..., None] - self.loc) * self.rate).mul(self.half),
        )

    @cached_property
    def cut(self) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
        """Mass below the lower bound, above the upper one, and between them."""
        below, above = (part.sum(-1) for part in self.beyond)
        return below, above, 1 - below - above

    def flat(self, batch: torch.Size) -> "Mixture":
        """The laws of a batch in a row, after these are expanded to its shape."""
        if self.loc.dim() == 2 and self.loc.shape[:-1] == batch:
            return self
        logits, loc, scale = (x.expand(*batch, -1).reshape(-1, x.shape[-1]) for x in (self.logits, self.loc, self.scale))
        low, high = (x if x is None or not x.dim() else x.expand(batch).reshape(-1) for x in (self.low, self.high))
        return Mixture(logits, loc, scale, low, high)

    def at(self, rows: slice | Tensor) -> "Mixture":
        """Some of a flat batch: those of a slice; those of an index each with an axis of its own, for a row of values."""
        rows = rows if isinstance(rows, slice) else rows[:, None]
        low, high = (x if x is None or not x.dim() else x[rows] for x in (self.low, self.high))
        return Mixture(self.logits[rows], self.loc[rows], self.scale[rows], low, high)

    def reach(self, sds: Float[Tensor, "*#batch"]) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
        """Ends within the bounds beyond which no component has more than 2 Phi(-sds) of its mass there."""
        wide, low, high = self.scale * sds[..., None], self.loc, self.loc
        if self.low is None or self.high is None:
            return (low - wide).amin(-1), (high + wide).amax(-1)
        # With U_k cut off above b, P(U_k < min(loc_k, b) - sds scale_k) <= 2 Phi(-sds); likewise below a.
        low, high = torch.minimum(low, self.high[..., None]), torch.maximum(high, self.low[..., None])
        return torch.maximum((low - wide).amin(-1), self.low), torch.minimum((high + wide).amax(-1), self.high)

    def log_inside(self) -> Float[Tensor, "*batch"]:
        """Log of the mass within the bounds."""
        inside = self.cut[2]
        found = torch.log(inside.clamp(min=_LEAST))
        return self._mended((found,), inside < _LEAST, lambda cut: (tails.log_mass(cut),))[0]

    def cdf(self, u: Float[Tensor, "*#out"]) -> Float[Tensor, "*out"]:
        """P(U <= u), relatively exact; NaN at NaN."""
        if self.low is None or self.high is None:
            return self.tail(u)
        below, _, inside = self.cut
        found = self.tail(u)
        poor = (inside < _LEAST) | ((found * inside < _DEEP * below) & (u > self.low))
        return self._mended((found,), poor, lambda cut, y: (tails.share(cut, y),), u.expand_as(found))[0]

    def tail(self, u: Float[Tensor, "*#out"], upper: Bool[Tensor, "*#out"] | None = None) -> Float[Tensor, "*out"]:
        """P(U <= u), or P(U >= u) where ``upper``: relatively exact without bounds, else within rounding of the mass that they cut off."""
        rate = self.rate if upper is None else torch.where(upper[..., None], -self.rate, self.rate)
        if self.low is None or self.high is None:
            return torch.erfc((self.loc - u[..., None]) * rate).mul(self.half).sum(-1).clamp(max=1)
        below, above, inside = self.cut
        at = u.clamp(self.low, self.high)
        mass = torch.erfc((self.loc - at[..., None]) * rate).mul(self.half).sum(-1)
        found = ((mass - (below if upper is None else torch.where(upper, above, below))) / inside.clamp(min=_LEAST)).clamp(0, 1)
        if upper is None:
            return found.masked_fill(u >= self.high, 1)
        mirror, end = upper.expand_as(at), torch.where(upper, -at, at)
        return self._mended((found,), inside < _LEAST, lambda cut, y, m: (tails.share(cut.mirrored(m), y),), end, mirror)[0]

    def moments(self) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
        """Mean and variance."""
        weight, center = self.weight, (self.weight * self.loc).sum(-1)
        if self.low is None or self.high is None:
            return center, (self.scale.square() + (self.loc - center[..., None]).square()).mul_(weight).sum(-1)
        center = center.clamp(self.low, self.high)
        (below, above), inside, far = self.beyond, self.cut[2], torch.finfo(self.loc.dtype).max / 16
        d, mass, width = self.loc - center[..., None], weight - below - above, (_ROOT / math.sqrt(math.pi)) * weight * self.scale
        square = d.square().add_(self.scale.square())
        first, second = mass * d, mass * square
        for end, side in ((self.low, 1.0), (self.high, -1.0)):
            gap = (end[..., None] - self.loc).clamp(-far, far)  # where there is no bound its density is 0, and must not meet infinity
            edge = (gap * self.rate).square_().neg_().exp_().mul_(width).mul_(side)
            first += edge
            second += edge.mul_(gap.add_(d, alpha=2))
        shift = first.sum(-1) / inside
        variance = second.sum(-1) / inside - shift.square()
        poor = (inside < _LEAST) | (torch.finfo(d.dtype).eps * (weight * square).sum(-1) > _ROUNDING * inside * variance)
        mean, variance = self._mended((center + shift, variance), poor, tails.moments)
        return mean, variance

    def quantiles(self, p: Float[Tensor, "*#out"]) -> Float[Tensor, "*out"]:
        """The u with P(U <= u) = p, solved from the nearer tail; levels lead the batch, and u never falls as they rise."""
        batch = self.loc.shape[:-1]
        shape = torch.Size(np.broadcast_shapes(p.shape, batch))  # torch's own would load sympy
        if 0 in shape:
            return p.expand(shape)
        batch = shape[len(shape) - len(batch) :]
        points = math.prod(batch)
        levels, p = p.reshape(-1), p.expand(shape).reshape(-1, points)
        law, size = self.flat(batch), max(1, _CHUNK // (len(p) * self.loc.shape[-1]))
        if points <= size:
            u = law._search(p)
        else:
            at_once = [slice(i, i + size) for i in range(0, points, size)]
            u = torch.cat([law.at(rows)._search(p[:, rows]) for rows in at_once], 1)
        if len(levels) == len(p) > 1:  # a level an entry: rounding must not swap two
            order = levels.argsort()
            ordered = u[order]
            if (ordered[1:] < ordered[:-1]).any():
                u = u.index_copy(0, order, ordered.cummax(0).values)
        return u.reshape(shape)

    def _search(self, p: Float[Tensor, "Q N"]) -> Float[Tensor, "Q N"]:
        """The same of a flat batch, all at once: without bounds at the level that they make of p."""
        mass, sign = torch.minimum(p, 1 - p), torch.copysign(torch.ones_like(p), 0.5 - p)
        if self.low is None:
            return quantiles.search(self.weight, self.loc, self.scale, mass, sign)
        below, above, inside = self.cut
        before, own = torch.where(sign > 0, below, above), mass * inside
        poor = (inside < _LEAST) | (own < _DEEP * before)
        if not poor.any():
            return quantiles.search(self.weight, self.loc, self.scale, own.add_(before), sign)
        free = torch.where(poor, mass, own + before)  # of the poor in vain
        u = quantiles.search(self.weight, self.loc, self.scale, free, sign)
        return self._mended((u,), poor, lambda cut, q, s: (s * quantiles.between(cut.mirrored(s < 0), q),), mass, sign)[0]

    def _mended(
        self, found: tuple[Tensor, ...], poor: Bool[Tensor, "*#out"], question: Callable[..., tuple[Tensor, ...]], *given: Tensor
    ) -> tuple[Tensor, ...]:
        """``found``, with the answers of ``question`` where it is poor: asked of some laws, and of ``given`` there."""
        if not poor.any():
            return found
        shape, batch, size = found[0].shape, self.loc.shape[:-1], self.loc.shape[-1]
        row = poor.expand(shape).reshape(-1).nonzero().squeeze(-1)
        point = torch.arange(math.prod(batch), device=row.device).reshape(batch).expand(shape).reshape(-1)[row]
        given = tuple(x.expand(shape).reshape(-1)[row] for x in given)
        parts = []
        for i in range(0, len(row), max(1, _PIECES // size)):
            few = slice(i, i + max(1, _PIECES // size))
            wide = (x.reshape(-1, size)[point[few]] for x in (torch.log_softmax(self.logits, -1), self.loc, self.scale))
            ends = (x.expand(batch).reshape(-1)[point[few]] for x in (self.low, self.high) if x is not None)
            parts.append(question(Cut(*wide, *ends), *(x[few] for x in given)))
        better = (torch.cat(x) for x in zip(*parts, strict=True))
        return tuple(x.reshape(-1).index_copy(0, row, new).reshape(shape) for x, new in zip(found, better, strict=True))
