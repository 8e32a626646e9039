"""The predictive distribution: density, cdf, quantiles, moments, CRPS and samples, all of one law."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.special import log_ndtr, ndtri

CHUNK = 2**18  # numbers in one temporary of a quadrature: 2 MB in float64, which a cache holds; less memory, no slower
# Kronrod extensions of a Gauss-Lobatto rule to 7 and 13 nodes on [-1, 1], nodes >= 0 (Gander & Gautschi 2000, BIT 40).
NODES = [1.0, 0.942882415695480, (2 / 3) ** 0.5, 0.641853342345781, 0.2**0.5, 0.236383199662150, 0.0]
COARSE = [77 / 1470, 0.0, 432 / 1470, 0.0, 625 / 1470, 0.0, 672 / 1470]
FINE = [0.0158271919734802, 0.094273840218850, 0.155071987336585, 0.188821573960182, 0.199773405226859,
        0.224926465333340, 0.242611071901408]  # fmt: skip


@dataclass(frozen=True)
class AsinhWarp:
    """u = asinh((y - center) / scale): linear within about `scale` of `center` (user's unit), logarithmic beyond."""

    center: Float[Tensor, "*#batch"]
    scale: Float[Tensor, "*#batch"]

    def forward(self, y: Tensor) -> Tensor:
        """Gives u at y."""
        return torch.asinh((y - self.center) / self.scale)

    def inverse(self, u: Tensor) -> Tensor:
        """Gives y at u, center + scale * sinh(u)."""
        return self.center + self.scale * torch.sinh(u)

    def log_slope(self, y: Tensor) -> Tensor:
        """Gives log du/dy at y, = -log sqrt((y - center)² + scale²)."""
        return -torch.log(torch.hypot(y - self.center, self.scale))


@dataclass(frozen=True)
class Predictive:
    """p(y at a query | context): u ~ sum_k w_k Normal(loc_k, scale_k²), y = warp.inverse(u), given lower <= y <= upper.

    The bounds cut the mixture as a whole; the rest is renormalised. Arguments broadcast with the batch, new axes lead.

    Args:
        logits: log w_k up to a constant.
        loc: component means on the scale of u (without a warp y's own, in the user's unit).
        scale: component standard deviations on the scale of u, > 0.
        lower, upper: hard limits of y, user's unit, lower < upper; None or infinite for none.
        warp: the map between u and y; None for u = y.
    """

    logits: Float[Tensor, "*batch K"]
    loc: Float[Tensor, "*batch K"]
    scale: Float[Tensor, "*batch K"]
    lower: Float[Tensor, "*#batch"] | None = None
    upper: Float[Tensor, "*#batch"] | None = None
    warp: AsinhWarp | None = None

    @property
    def batch_shape(self) -> torch.Size:
        """Shape of the answer to a scalar question."""
        return self.loc.shape[:-1]

    def double(self) -> "Predictive":
        """Gives the same law in float64, which tails and quadrature need."""
        return self._map(torch.Tensor.double, torch.Tensor.double)

    def split(self, size: int) -> "list[Predictive]":
        """Gives the laws of at most `size` points each, in the order of the flattened batch."""
        flat = self._map(lambda x: x.reshape(-1, x.shape[-1]), lambda x: x.expand(self.batch_shape).reshape(-1))
        return [flat._map(*[lambda x, at=at: x[at : at + size]] * 2) for at in range(0, len(flat.loc), size)]

    def log_prob(self, y: Float[Tensor, "*#out"]) -> Float[Tensor, "*out"]:
        """Gives the log density at y in nats per user unit; -inf outside the bounds, NaN at NaN."""
        law, log_weight = self._on_u()
        z = ((y if self.warp is None else self.warp.forward(y))[..., None] - law.loc) / law.scale
        out = torch.logsumexp(log_weight - 0.5 * z * z - torch.log(law.scale) - 0.5 * math.log(2 * math.pi), -1)
        out = out if self.warp is None else out + self.warp.log_slope(y)
        out = out if self.lower is None else out.masked_fill(y < self.lower, -math.inf)
        return out if self.upper is None else out.masked_fill(y > self.upper, -math.inf)

    def cdf(self, y: Float[Tensor, "*#out"]) -> Float[Tensor, "*out"]:
        """Gives P(Y <= y), relatively exact in the left tail; NaN at NaN."""
        law, log_weight = self._on_u()
        return law._cdf(y if self.warp is None else self.warp.forward(y), log_weight)

    def icdf(self, p: Float[Tensor, "*#out"] | float) -> Float[Tensor, "*out"]:
        """Gives the p-quantile in the user's unit, 0 < p < 1, solved from the nearer tail: both are equally exact.

        Newton on ndtri(F), linear for one normal; where that leaves the bracket on F, linear near a bound; where that
        does too, or a step is not half the last but one, bisection (as rtsafe, Numerical Recipes 9.4).
        """
        p, eps = torch.as_tensor(p, dtype=self.loc.dtype, device=self.loc.device), torch.finfo(self.loc.dtype).eps
        right = p > 0.5
        p = torch.where(right, 1 - p, p)
        (law, log_weight), target = self._on_u(right), ndtri(p)
        low, high = law._bracket(ndtri(p / 2), -ndtri((1 - p) / 2))
        u = (torch.softmax(law.logits, -1) * (law.loc + law.scale * target[..., None])).sum(-1).clamp(low, high)
        before = last = torch.full_like(u, math.inf)
        done = torch.zeros_like(u, dtype=torch.bool)
        while not done.all():
            z, mass = (u[..., None] - law.loc) / law.scale, law._cdf(u, log_weight)
            level, excess = ndtri(mass), mass - p
            low, high = torch.where(excess < 0, u, low), torch.where(excess > 0, u, high)
            slope = (torch.exp(log_weight - 0.5 * z * z) / law.scale).sum(-1)  # density * sqrt(2 pi)
            new = u - (level - target) * torch.exp(-0.5 * level * level) / slope
            near = (level - target).abs() <= eps**0.75
            if law.lower is not None:
                new = torch.where((new >= low) & (new <= high), new, u - excess * math.sqrt(2 * math.pi) / slope)
                near = near | (excess.abs() <= eps)  # near a bound F has no more digits
            good = (new >= low) & (new <= high) & ((new - u).abs() < 0.5 * before)
            new = torch.where(good, new, torch.where(near, u, low + 0.5 * (high - low)))
            before, last = last, (new - u).abs()
            u = torch.where(done, u, new)
            done = done | near | ~(last > 2 * eps * u.abs())  # NaN is done at once
        u = torch.where(right, -u, u)
        y = u if self.warp is None else self.warp.inverse(u)
        return y if self.lower is None and self.upper is None else y.clamp(self.lower, self.upper)

    @property
    def mean(self) -> Float[Tensor, "*batch"]:
        """E[Y], user's unit: closed form without bounds, else c - ∫ (F(y) - 1{y >= c}) dy at c = median."""
        if self._edges() is None:
            return self._moments()[0]
        median = self.icdf(0.5)
        return median - self._integral(median, lambda x, d: torch.ones_like(d))

    @property
    def variance(self) -> Float[Tensor, "*batch"]:
        """Var[Y], user's unit squared: closed form without bounds, else -2 ∫ (y - m) (F(y) - 1{y >= m}) dy, m mean."""
        return self._moments()[1] if self._edges() is None else self._integral(self.mean, lambda x, d: -2 * x)

    def crps(self, y: Float[Tensor, "*#out"]) -> Float[Tensor, "*out"]:
        """Gives the CRPS ∫ (F(x) - 1{x >= y})² dx (Gneiting & Raftery 2007, JASA 102), user's unit; lower is better.

        In closed form up to 200 components without warp or bounds (Grimit et al. 2006, QJRMS 132), else by quadrature.
        """

        def absolute(m: Tensor, s: Tensor) -> Tensor:  # E|X| of X ~ Normal(m, s²)
            return m * torch.erf(m / s * math.sqrt(0.5)) + s * math.sqrt(2 / math.pi) * torch.exp(-0.5 * (m / s) ** 2)

        if self.warp is not None or self._edges() is not None or self.loc.shape[-1] > 200:  # K² pairs
            return torch.where(torch.isinf(y), y.abs(), self._integral(y, lambda x, d: d))
        weight, pairs = torch.softmax(self.logits, -1), torch.zeros_like(self.loc)
        for w, m, s in zip(*(x.split(1, -1) for x in (weight, self.loc, self.scale)), strict=True):
            pairs = pairs + w * absolute(self.loc - m, torch.hypot(self.scale, s))
        return (weight * (absolute(y[..., None] - self.loc, self.scale) - 0.5 * pairs)).sum(-1)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n *batch"]:
        """Draws n independent y per point: from the mixture, then by quantiles anew what falls outside the bounds."""
        like = {"generator": generator, "dtype": self.loc.dtype, "device": self.loc.device}
        ladder = torch.softmax(self.logits, -1).cumsum(-1)
        k = torch.searchsorted(ladder, torch.rand((*self.batch_shape, n), **like)).clamp(max=self.loc.shape[-1] - 1)
        u = (self.loc.gather(-1, k) + self.scale.gather(-1, k) * torch.randn(k.shape, **like)).movedim(-1, 0)
        y = u if self.warp is None else self.warp.inverse(u)
        if self._edges() is None:
            return y
        outside = y != y.clamp(self.lower, self.upper)
        point = outside.nonzero()[:, 1:].unbind(-1)
        law = self._map(lambda x: x[point], lambda x: x.expand(self.batch_shape)[point])
        chance = torch.rand(int(outside.sum()), **like).clamp(min=torch.finfo(self.loc.dtype).tiny)
        return y.masked_scatter(outside, law.icdf(chance))

    def _map(self, wide: Callable[[Tensor], Tensor], narrow: Callable[[Tensor], Tensor]) -> "Predictive":
        """The law with `wide` applied to what has a component axis and `narrow` to what has none."""
        lower, upper = (None if x is None else narrow(x) for x in (self.lower, self.upper))
        warp = self.warp and AsinhWarp(narrow(self.warp.center), narrow(self.warp.scale))
        return type(self)(wide(self.logits), wide(self.loc), wide(self.scale), lower, upper, warp)

    def _edges(self) -> tuple[Tensor, Tensor] | None:
        """The bounds on the scale of u; None where there are none."""
        if self.lower is None and self.upper is None:
            return None
        inf = self.loc.new_tensor(math.inf)
        a, b = -inf if self.lower is None else self.lower, inf if self.upper is None else self.upper
        a, b = (a, b) if self.warp is None else (self.warp.forward(a), self.warp.forward(b))
        return None if torch.isinf(a).all() and torch.isinf(b).all() else (a, b)

    def _on_u(self, mirror: Bool[Tensor, "*#out"] | None = None) -> tuple["Predictive", Tensor]:
        """The law of u, or of -u where `mirror`, with both bounds or none; and log w_k - log P(lower <= U <= upper)."""
        log_weight, edges, loc = torch.log_softmax(self.logits, -1), self._edges(), self.loc
        if mirror is not None:
            loc = torch.where(mirror[..., None], -loc, loc)
            edges = edges and (torch.where(mirror, -edges[1], edges[0]), torch.where(mirror, -edges[0], edges[1]))
        law = type(self)(self.logits.expand_as(loc), loc, self.scale.expand_as(loc), *(edges or (None, None)))
        if edges is not None:
            alpha, beta = ((edge[..., None] - loc) / self.scale for edge in edges)
            flip = alpha + beta > 0  # P is the difference of the two smaller tails, in logarithms lest they underflow
            near, far = log_ndtr(torch.where(flip, -alpha, beta)), log_ndtr(torch.where(flip, -beta, alpha))
            part = near + torch.log(-torch.expm1((far - near).clamp(max=-torch.finfo(loc.dtype).eps)))
            log_weight = log_weight - torch.logsumexp(log_weight + part, -1, keepdim=True)
        return law, log_weight

    def _cdf(self, u: Tensor, log_weight: Tensor) -> Tensor:
        """P(U <= u) of what `_on_u` gives; with erfc, for torch.special.ndtr has no correct digit left below -8."""
        if self.lower is None or self.upper is None:
            z = (u[..., None] - self.loc) / self.scale
            return (0.5 * torch.exp(log_weight) * torch.erfc(z * -math.sqrt(0.5))).sum(-1).clamp(max=1)
        z, alpha = ((x[..., None] - self.loc) / self.scale for x in (u.clamp(self.lower, self.upper), self.lower))
        side = torch.where(alpha > 0, -1.0, 1.0).to(z)  # Phi(z) - Phi(alpha) has most digits in the tail of alpha
        part = side * (torch.exp(log_weight + log_ndtr(side * z)) - torch.exp(log_weight + log_ndtr(side * alpha)))
        return part.sum(-1).clamp(0, 1).masked_fill(u >= self.upper, 1)

    def _bracket(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Bounds of the quantiles at 2 Phi(low), from below, and 1 - 2 Phi(-high), from above: extremes over k."""
        low, high = self.scale * low[..., None], self.scale * high[..., None]
        if self.lower is None or self.upper is None:
            return (self.loc + low).amin(-1), (self.loc + high).amax(-1)
        # With U_k cut off above b, P(U_k < min(loc_k, b) + scale_k low) <= 2 Phi(low); likewise below a.
        low, high = self.loc.clamp(max=self.upper[..., None]) + low, self.loc.clamp(min=self.lower[..., None]) + high
        return low.amin(-1).clamp(min=self.lower), high.amax(-1).clamp(max=self.upper)

    def _moments(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of y, bounds aside; with a warp each component is a Johnson S_U."""
        weight, loc, square = torch.softmax(self.logits, -1), self.loc, self.scale.square()
        if self.warp is not None:
            center, width, growth = self.warp.center[..., None], self.warp.scale[..., None], torch.exp(0.5 * square)
            square = 0.5 * width.square() * torch.expm1(square) * (growth.square() * torch.cosh(2 * loc) + 1)
            loc = center + width * growth * torch.sinh(loc)
        mean = (weight * loc).sum(-1)
        return mean, (weight * (square + (loc - mean[..., None]).square())).sum(-1)

    def _integral(self, split: Tensor, kernel: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """∫ k(y - split, D) D dy with D(y) = F(y) - 1{y >= split}: panels of u are halved until two rules agree.

        The ends are nodes too, so that no rise of F between two goes unseen. The tolerance is relative to the integral
        over a point's own spread, which a far split does not enlarge. With 1000 panels a point, the rest is rounding.
        """
        shape, size = torch.broadcast_shapes(split.shape, self.batch_shape), self.loc.shape[-1]
        flat = self._map(lambda x: x.expand(*shape, size).reshape(-1, size), lambda x: x.expand(shape).reshape(-1))
        split, eps = split.expand(shape).reshape(-1), torch.finfo(split.dtype).eps
        nodes = split.new_tensor([-x for x in NODES] + NODES[-2::-1])
        fine, coarse = (split.new_tensor(w + w[-2::-1]) for w in (FINE, COARSE))
        reach = 8 + (0 if self.warp is None else 2) * flat.scale.amax(-1)  # in sds; sinh(u)² peaks 2 scale_k out
        low, high = flat._on_u()[0]._bracket(-reach, reach)
        knots = torch.stack([low, split if flat.warp is None else flat.warp.forward(split), high], -1).sort(-1).values
        point, sums = torch.arange(len(split), device=split.device), low.new_zeros(2, len(low))
        while len(point):
            point, ends, parts = point.repeat_interleave(2), knots.unfold(-1, 2, 1).reshape(-1, 2), []
            for i, end in zip(*(x.split(max(1, CHUNK // (13 * size))) for x in (point, ends)), strict=True):
                row, half = flat._map(*[lambda x, i=i: x[i, None]] * 2), 0.5 * (end[:, 1:] - end[:, :1])
                u = end.mean(-1, keepdim=True) + half * nodes
                y = u if row.warp is None else row.warp.inverse(u)
                upper = y[:, 6:7] >= split[i, None]  # there D is minus the upper tail, which keeps its digits
                law, log_weight = row._on_u(upper)
                d = torch.where(upper, -1.0, 1.0) * law._cdf(torch.where(upper, -u, u), log_weight)
                rise = d * (half if row.warp is None else half * torch.exp(-row.warp.log_slope(y)))
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
