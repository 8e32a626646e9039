"""A mixture of normals between bounds: masses and moments in closed form.

Cut at two bounds it is a mixture of cut normals with other weights. With d = loc - c for any c, s the scale, Z the mass of a component
between its z-scores alpha and beta of the bounds, and 1 = 1{low <= U <= high}:
E[(U - c) 1] = sum w (d Z + s (phi(alpha) - phi(beta))),
E[(U - c)² 1] = sum w ((d² + s²) Z + s phi(alpha) (alpha s + 2 d) - s phi(beta) (beta s + 2 d)).
Where little lies within the bounds, or little of what is added up remains, these lose digits: such points are left to `tails`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

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
_FAR = 40.0  # z-score beyond which a normal has neither mass nor density
_ROOT = math.sqrt(0.5)


class Mixture(NamedTuple):
    """U ~ sum_k w_k Normal(loc_k, scale_k²) given low <= U <= high, one law a point; no bounds at all are None."""

    log_weight: Float[Tensor, "*batch K"]
    loc: Float[Tensor, "*batch K"]
    scale: Float[Tensor, "*batch K"]
    low: Float[Tensor, "*batch"] | None = None
    high: Float[Tensor, "*batch"] | None = None

    @property
    def weight(self) -> Float[Tensor, "*batch K"]:
        """w_k."""
        return torch.exp(self.log_weight)

    def flat(self, batch: torch.Size) -> "Mixture":
        """The laws of a batch in a row, after these are expanded to its shape."""
        log_weight, loc, scale = (x.expand(*batch, -1).reshape(-1, x.shape[-1]) for x in (self.log_weight, self.loc, self.scale))
        low, high = (None if x is None else x.expand(batch).reshape(-1) for x in (self.low, self.high))
        return Mixture(log_weight, loc, scale, low, high)

    def at(self, rows: slice | Tensor) -> "Mixture":
        """Some of a flat batch: those of a slice; those of an index each with an axis of its own, for a row of values."""
        rows = rows if isinstance(rows, slice) else rows[:, None]
        low, high = (None if x is None else x[rows] for x in (self.low, self.high))
        return Mixture(self.log_weight[rows], self.loc[rows], self.scale[rows], low, high)

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
        below, above = self._outside()
        inside = 1 - below - above
        found = torch.log(inside.clamp(min=_LEAST))
        return self._mended((found,), inside < _LEAST, lambda cut: (tails.log_mass(cut),))[0]

    def tail(self, u: Float[Tensor, "*#out"], upper: Bool[Tensor, "*#out"] | None = None) -> Float[Tensor, "*out"]:
        """P(U <= u), or P(U >= u) where ``upper``, relatively exact; NaN at NaN.

        With erfc, for torch.special.ndtr has no correct digit left below -8.
        """
        rate = _ROOT / self.scale
        rate = rate if upper is None else torch.where(upper[..., None], -rate, rate)
        if self.low is None or self.high is None:
            return torch.linalg.vecdot(torch.erfc((self.loc - u[..., None]) * rate), 0.5 * self.weight).clamp(max=1)
        end = self.low if upper is None else torch.where(upper, self.high, self.low)
        below, above = self._outside()
        inside = 1 - below - above
        edge = (end[..., None] - self.loc) * rate
        side = torch.where(edge > 0, -1.0, 1.0).to(u)  # Phi(z) - Phi(alpha) has most digits in the tail of alpha
        at = torch.minimum(torch.maximum(u, self.low), self.high)
        part = torch.erfc(side * (self.loc - at[..., None]) * rate) - torch.erfc(edge.abs())
        found = torch.linalg.vecdot(side * part, (0.5 * self.weight).expand_as(part)) / inside.clamp(min=_LEAST)
        turn = torch.zeros_like(at, dtype=torch.bool) if upper is None else upper.expand_as(at)

        def summed(cut: Cut, y: Tensor, mirror: Tensor) -> tuple[Tensor]:
            return (tails.share(cut.mirrored(mirror), torch.where(mirror, -y, y)),)

        found = self._mended((found,), inside < _LEAST, summed, at, turn)[0].clamp(0, 1)
        over = u >= self.high if upper is None else torch.where(upper, u <= self.low, u >= self.high)
        return found.masked_fill(over, 1)

    def moments(self) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
        """Mean and variance."""
        weight, square = self.weight, self.scale.square()
        center = (weight * self.loc).sum(-1, keepdim=True)
        if self.low is None or self.high is None:
            return center.squeeze(-1), (weight * (square + (self.loc - center).square())).sum(-1)
        low, high = self.low[..., None], self.high[..., None]
        center = torch.minimum(torch.maximum(center, low), high)
        alpha, beta = (((end - self.loc) / self.scale).clamp(-_FAR, _FAR) for end in (low, high))
        d, mass = self.loc - center, weight * (1 - 0.5 * (torch.erfc(alpha * -_ROOT) + torch.erfc(beta * _ROOT)))
        rise, fall = (weight * self.scale * torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi) for z in (alpha, beta))
        inside, square = mass.sum(-1), d.square() + square
        shift = (mass * d + rise - fall).sum(-1) / inside
        second = mass * square + rise * (alpha * self.scale + 2 * d) - fall * (beta * self.scale + 2 * d)
        variance = second.sum(-1) / inside - shift.square()
        lost = torch.finfo(shift.dtype).eps * (weight * square).sum(-1) > _ROUNDING * inside * variance
        mean, variance = self._mended((center.squeeze(-1) + shift, variance), lost | (inside < _LEAST), tails.moments)
        return mean, variance

    def quantiles(self, p: Float[Tensor, "*#out"]) -> Float[Tensor, "*out"]:
        """The u with P(U <= u) = p, solved from the nearer tail; levels lead the batch, and u never falls as they rise."""
        batch = self.loc.shape[:-1]
        shape = torch.broadcast_shapes(p.shape, batch)
        if 0 in shape:
            return p.expand(shape)
        batch = shape[len(shape) - len(batch) :]
        points = math.prod(batch)
        levels, p = p.reshape(-1), p.expand(shape).reshape(-1, points)
        law = self.flat(batch)
        size = max(1, _CHUNK // (len(p) * self.loc.shape[-1]))
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
        mass, sign = torch.minimum(p, 1 - p), torch.where(p > 0.5, -1.0, 1.0).to(p)
        if self.low is None:
            return quantiles.search(self.weight, self.loc, self.scale, mass, sign)
        below, above = self._outside()
        inside, before = 1 - below - above, torch.where(sign > 0, below, above)
        poor = (inside < _LEAST) | (mass * inside < _DEEP * before)
        free = torch.where(poor, mass, before + mass * inside)  # of the poor in vain
        u = quantiles.search(self.weight, self.loc, self.scale, free, sign)
        return self._mended((u,), poor, lambda cut, q, s: (s * quantiles.between(cut.mirrored(s < 0), q),), mass, sign)[0]

    def _outside(self) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
        """Mass below the lower and above the upper bound."""
        assert self.low is not None
        assert self.high is not None
        half, rate = 0.5 * self.weight, _ROOT / self.scale
        below, above = torch.erfc((self.loc - self.low[..., None]) * rate), torch.erfc((self.high[..., None] - self.loc) * rate)
        return torch.linalg.vecdot(below, half), torch.linalg.vecdot(above, half)

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
            wide = (x.reshape(-1, size)[point[few]] for x in (self.log_weight, self.loc, self.scale))
            ends = (x.expand(batch).reshape(-1)[point[few]] for x in (self.low, self.high) if x is not None)
            parts.append(question(Cut(*wide, *ends), *(x[few] for x in given)))
        better = (torch.cat(x) for x in zip(*parts, strict=True))
        return tuple(x.reshape(-1).index_copy(0, row, new).reshape(shape) for x, new in zip(found, better, strict=True))
