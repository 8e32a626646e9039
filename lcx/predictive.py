"""The predictive distribution: density, cdf, quantiles, moments, CRPS and samples, all of one law."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.special import log_ndtr, ndtri

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
CHUNK = 2**21  # numbers in one temporary of a quadrature: 16 MB in float64, about six of them alive at once
CLOSED_CRPS = 200  # components up to which the K² pairs of the closed CRPS are affordable


@dataclass(frozen=True)
class AsinhWarp:
    """The scale on which the mixture lives: u = asinh((y - center) / scale), y = center + scale * sinh(u).

    Linear within about `scale` (> 0) of `center`, both in the user's unit, and logarithmic beyond, on both sides.
    A normal u makes y a Johnson S_U. Source: Johnson 1949, Biometrika 36.
    """

    center: Float[Tensor, "*#batch"]
    scale: Float[Tensor, "*#batch"]

    def forward(self, y: Tensor) -> Tensor:
        """Gives u at y."""
        return torch.asinh((y - self.center) / self.scale)

    def inverse(self, u: Tensor) -> Tensor:
        """Gives y at u."""
        return self.center + self.scale * torch.sinh(u)

    def log_slope(self, y: Tensor) -> Tensor:
        """Gives log du/dy at y: -log scale - log sqrt(1 + ((y - center) / scale)²)."""
        x = (y - self.center) / self.scale
        return -torch.log(torch.hypot(x, torch.ones_like(x))) - torch.log(self.scale)


@dataclass(frozen=True)
class _Law:
    """The law of u given a <= u <= b, with all that does not depend on u worked out once.

    `log_weight` is log w_k - log P(a <= U <= b), so that sums over k are conditional already. `cut` is None without
    bounds, else (a, b, side, below, blur). P(a < U_k < u) = side (Phi(side z) - Phi(side alpha)) has most digits in the
    tail in which a lies, side = 1 on the left and -1 on the right; `below` is exp(log_weight) Phi(side alpha); `blur`
    is the rounding error of the sum of these differences, in machine epsilons.
    """

    log_weight: Float[Tensor, "*#batch K"]
    loc: Float[Tensor, "*batch K"]
    scale: Float[Tensor, "*#batch K"]
    cut: tuple[Tensor, Tensor, Tensor, Tensor, Tensor] | None

    def cdf(self, u: Tensor) -> Tensor:
        """Gives P(U <= u), relatively exact in the left tail."""
        if self.cut is None:
            z = (u[..., None] - self.loc) / self.scale
            # torch.special.ndtr is (1 + erf(z / sqrt 2)) / 2, of which no digit is left below -8.
            return (0.5 * torch.exp(self.log_weight) * torch.erfc(z * -math.sqrt(0.5))).sum(-1).clamp(max=1)
        a, b, side, below, _ = self.cut
        z = (u.clamp(a, b)[..., None] - self.loc) / self.scale
        part = side * (torch.exp(self.log_weight + log_ndtr(side * z)) - below)
        return part.sum(-1).clamp(0, 1).masked_fill(u >= b, 1.0)

    def bracket(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Gives bounds of the quantiles at 2 Phi(low), from below, and 1 - 2 Phi(-high), from above: extremes over k.

        Given z < beta, a standard normal has P(z < min(beta, 0) + low) <= 2 Phi(low).
        """
        low, high = low[..., None], high[..., None]
        if self.cut is not None:
            low = low + ((self.cut[1][..., None] - self.loc) / self.scale).clamp(max=0)
            high = high + ((self.cut[0][..., None] - self.loc) / self.scale).clamp(min=0)
        low, high = (self.loc + self.scale * low).amin(-1), (self.loc + self.scale * high).amax(-1)
        return (low, high) if self.cut is None else (low.clamp(min=self.cut[0]), high.clamp(max=self.cut[1]))

    def quantile(self, p: Tensor) -> Tensor:
        """Solves cdf(u) = p, p <= 1/2, by Newton on ndtri(cdf(u)), which is linear in u for one normal.

        Where that leaves the bracket, by Newton on cdf(u), linear near a bound; where that does too, or the step is not
        half the last but one, by bisection. Source: rtsafe, Press et al., Numerical Recipes, section 9.4.
        """
        target, eps = ndtri(p), torch.finfo(self.loc.dtype).eps
        low, high = self.bracket(ndtri(p / 2), -ndtri((1 - p) / 2))
        u = (torch.softmax(self.log_weight, -1) * (self.loc + self.scale * target[..., None])).sum(-1).clamp(low, high)
        before = last = torch.full_like(u, math.inf)
        done = torch.zeros_like(u, dtype=torch.bool)
        for _ in range(200):
            z, mass = (u[..., None] - self.loc) / self.scale, self.cdf(u)
            level, excess = ndtri(mass), mass - p
            low, high = torch.where(excess < 0, u, low), torch.where(excess > 0, u, high)
            slope = (torch.exp(self.log_weight - 0.5 * z * z) / self.scale).sum(-1)  # density * sqrt(2 pi)
            new = u - (level - target) * torch.exp(-0.5 * level * level) / slope
            near = (level - target).abs() <= eps**0.75
            if self.cut is not None:
                new = torch.where((new >= low) & (new <= high), new, u - excess * math.sqrt(2 * math.pi) / slope)
                near = near | (excess.abs() <= 4 * eps * self.cut[-1])
            good = (new >= low) & (new <= high) & ((new - u).abs() < 0.5 * before)
            new = torch.where(good, new, torch.where(near, u, low + 0.5 * (high - low)))
            before, last = last, (new - u).abs()
            u = torch.where(done, u, new)
            done = done | near | ~(last > eps**0.75 * u.abs())  # NaN is done at once
            if done.all():
                break
        return u


@dataclass(frozen=True)
class Predictive:
    """p(y at a query | context): u ~ sum_k w_k Normal(loc_k, scale_k²), y = warp.inverse(u), given lower <= y <= upper.

    The bounds cut the mixture as a whole: what lies outside is dropped, the rest renormalised. Arguments broadcast
    against the batch and may have further leading axes. Tails need float64: call `double()` first.

    Args:
        logits: log w_k up to a constant.
        loc: component means on the scale of u (without a warp y's own, in the user's unit).
        scale: component standard deviations on the scale of u, > 0.
        lower: hard lower limit of y, user's unit; None or -inf for none.
        upper: hard upper limit of y, user's unit, above `lower`; None or inf for none.
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

    def double(self) -> Self:
        """Gives the same law in float64."""
        return self._map(torch.Tensor.double, torch.Tensor.double)

    def log_prob(self, y: Float[Tensor, "*#out"]) -> Float[Tensor, "*out"]:
        """Gives the log density at y in nats per user unit; -inf outside the bounds, NaN at NaN."""
        u = y if self.warp is None else self.warp.forward(y)
        z = (u[..., None] - self.loc) / self.scale
        out = torch.logsumexp(self._law().log_weight - 0.5 * z * z - torch.log(self.scale) - HALF_LOG_2PI, -1)
        out = out if self.warp is None else out + self.warp.log_slope(y)
        out = out if self.lower is None else out.masked_fill(y < self.lower, -math.inf)
        return out if self.upper is None else out.masked_fill(y > self.upper, -math.inf)

    def cdf(self, y: Float[Tensor, "*#out"]) -> Float[Tensor, "*out"]:
        """Gives P(Y <= y); NaN at NaN."""
        return self._law().cdf(y if self.warp is None else self.warp.forward(y))

    def icdf(self, p: Float[Tensor, "*#out"] | float) -> Float[Tensor, "*out"]:
        """Gives the p-quantile in the user's unit, 0 < p < 1, solved from the nearer tail: both are equally exact."""
        p = torch.as_tensor(p, dtype=self.loc.dtype, device=self.loc.device)
        right = p > 0.5
        u = self._law(right).quantile(torch.where(right, 1 - p, p))
        u = torch.where(right, -u, u)
        y = u if self.warp is None else self.warp.inverse(u)
        return y if self.lower is None and self.upper is None else y.clamp(self.lower, self.upper)

    @property
    def mean(self) -> Float[Tensor, "*batch"]:
        """E[Y], user's unit: closed form without bounds, else c - ∫ (F(y) - 1{y >= c}) dy at c = median."""
        if self._edges() is None:
            return (torch.softmax(self.logits, -1) * self._moments()[0]).sum(-1)
        median = self.icdf(0.5)
        return median - self._integral(median, lambda x, d: torch.ones_like(d))

    @property
    def variance(self) -> Float[Tensor, "*batch"]:
        """Var[Y], user's unit squared: closed form without bounds, else -2 ∫ (y - m) (F(y) - 1{y >= m}) dy, m = E[Y]."""
        mean = self.mean
        if self._edges() is not None:
            return self._integral(mean, lambda x, d: -2 * x)
        loc, variance = self._moments()
        return (torch.softmax(self.logits, -1) * (variance + (loc - mean[..., None]).square())).sum(-1)

    def crps(self, y: Float[Tensor, "*#out"]) -> Float[Tensor, "*out"]:
        """Gives the continuous ranked probability score ∫ (F(x) - 1{x >= y})² dx in the user's unit; lower is better.

        Without warp or bounds and up to 200 components E|Y - y| - E|Y - Y'| / 2 in closed form, else by quadrature.
        Source: Gneiting & Raftery 2007, JASA 102; closed form: Grimit et al. 2006, QJRMS 132.
        """
        at = torch.nan_to_num(y, 0, 0, 0)
        if self.warp is not None or self._edges() is not None or self.loc.shape[-1] > CLOSED_CRPS:
            out = self._integral(at, lambda x, d: d)
        else:
            weight, pairs = torch.softmax(self.logits, -1), torch.zeros_like(self.loc)
            for w, m, s in zip(*(x.split(1, -1) for x in (weight, self.loc, self.scale)), strict=True):
                pairs = pairs + w * _mean_absolute(self.loc - m, torch.hypot(self.scale, s))
            out = (weight * (_mean_absolute(at[..., None] - self.loc, self.scale) - 0.5 * pairs)).sum(-1)
        return torch.where(torch.isfinite(y), out, y.abs())

    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n *batch"]:
        """Draws n independent y for each point of the batch."""
        like = {"generator": generator, "dtype": self.loc.dtype, "device": self.loc.device}
        uniform = torch.rand((*self.batch_shape, n), **like).clamp(min=torch.finfo(self.loc.dtype).tiny)
        if self._edges() is not None:
            return torch.cat([self.icdf(p) for p in uniform.movedim(-1, 0).split(max(1, CHUNK // self.loc.numel()))])
        ladder = torch.softmax(self.logits, -1).cumsum(-1)
        k = torch.searchsorted(ladder, uniform).clamp(max=self.loc.shape[-1] - 1)
        u = self.loc.gather(-1, k) + self.scale.gather(-1, k) * torch.randn(k.shape, **like)
        return u.movedim(-1, 0) if self.warp is None else self.warp.inverse(u.movedim(-1, 0))

    def _map(self, wide: Callable[[Tensor], Tensor], narrow: Callable[[Tensor], Tensor]) -> Self:
        """The law with `wide` applied to what has a component axis and `narrow` to what has none."""
        lower, upper = (None if x is None else narrow(x) for x in (self.lower, self.upper))
        warp = self.warp and AsinhWarp(narrow(self.warp.center), narrow(self.warp.scale))
        return type(self)(wide(self.logits), wide(self.loc), wide(self.scale), lower, upper, warp)

    def _edges(self) -> tuple[Tensor, Tensor] | None:
        """The bounds on the scale of u; None where there are none."""
        if self.lower is None and self.upper is None:
            return None
        a = self.loc.new_tensor(-math.inf) if self.lower is None else self.lower
        b = self.loc.new_tensor(math.inf) if self.upper is None else self.upper
        if torch.isinf(a).all() and torch.isinf(b).all():
            return None
        return (a, b) if self.warp is None else (self.warp.forward(a), self.warp.forward(b))

    def _law(self, mirror: Bool[Tensor, "*#out"] | None = None) -> _Law:
        """The law of u, or of -u where `mirror`."""
        log_weight, loc, edges = torch.log_softmax(self.logits, -1), self.loc, self._edges()
        if mirror is not None:
            loc = torch.where(mirror[..., None], -loc, loc)
            edges = edges and (torch.where(mirror, -edges[1], edges[0]), torch.where(mirror, -edges[0], edges[1]))
        if edges is None:
            return _Law(log_weight, loc, self.scale, None)
        alpha, beta = ((edge[..., None] - loc) / self.scale for edge in edges)
        flip = alpha + beta > 0  # what lies between is the difference of the two smaller tails
        near, far = log_ndtr(torch.where(flip, -alpha, beta)), log_ndtr(torch.where(flip, -beta, alpha))
        inside = near + torch.log(-torch.expm1((far - near).clamp(max=-torch.finfo(loc.dtype).eps)))
        log_weight = log_weight - torch.logsumexp(log_weight + inside, -1, keepdim=True)
        side = torch.where(alpha > 0, -1.0, 1.0).to(alpha)
        tail = log_ndtr(side * alpha)
        below = torch.exp(log_weight + tail)
        blur = torch.where(below > 0, below * (1 - tail), 0.0).sum(-1)
        return _Law(log_weight, loc, self.scale, (*edges, side, below, blur))

    def _moments(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of y in each component, bounds aside; with a warp those of Johnson's S_U."""
        if self.warp is None:
            return self.loc, self.scale.square()
        center, width, square = self.warp.center[..., None], self.warp.scale[..., None], self.scale.square()
        variance = 0.5 * torch.expm1(square) * (torch.exp(square) * torch.cosh(2 * self.loc) + 1)
        return center + width * torch.exp(0.5 * square) * torch.sinh(self.loc), width.square() * variance

    def _integral(self, split: Tensor, kernel: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """∫ k(y - split, D) D dy with D(y) = F(y) - 1{y >= split}: panels of u are halved until two rules agree on each.

        All points are refined together. The tolerance is relative to the integral over a point's own spread, which a
        split far outside does not enlarge.
        """
        shape, size = torch.broadcast_shapes(split.shape, self.batch_shape), self.loc.shape[-1]
        flat = self._map(lambda x: x.expand(*shape, size).reshape(-1, size), lambda x: x.expand(shape).reshape(-1))
        split = split.expand(shape).reshape(-1)
        # The second moment of sinh(u) has its mass 2 scale_k standard deviations out.
        reach = 8 + (0 if self.warp is None else 2) * flat.scale.amax(-1)
        low, high = flat._law().bracket(-reach, reach)
        knots = torch.stack([low, split if flat.warp is None else flat.warp.forward(split), high], -1).sort(-1).values
        point, total, spread = torch.arange(len(split), device=split.device), 0 * low, 0 * low
        for _ in range(60):
            point, ends = point.repeat_interleave(2), knots.unfold(-1, 2, 1).reshape(-1, 2)
            jobs = zip(*(x.split(max(1, CHUNK // (17 * size))) for x in (point, ends)), strict=True)
            parts = [
                flat._map(*[lambda x, at=at: x[at, None]] * 2)._panels(split[at, None], end, kernel) for at, end in jobs
            ]
            value, error, share = (torch.cat(part) for part in zip(*parts, strict=True))
            rough = error > torch.finfo(low.dtype).eps ** 0.5 * spread.index_add(0, point, share)[point]
            total = total.index_add(0, point, value.masked_fill(rough, 0))
            spread = spread.index_add(0, point, share.masked_fill(rough, 0))
            if not rough.any():
                break
            point, ends = point[rough], ends[rough]
            knots = torch.stack([ends[:, 0], ends.mean(-1), ends[:, 1]], -1)
        return total.reshape(shape)

    def _panels(self, split: Tensor, ends: Tensor, kernel: Callable) -> tuple[Tensor, Tensor, Tensor]:
        """Per panel: the integral, its error beyond what rounding explains, its share of the spread.

        Clenshaw-Curtis with 17 and 9 nodes: as the ends are among them, no rise of F between two nodes goes unseen.
        """
        (nodes, weight), (_, coarse), law = _clenshaw_curtis(16, ends), _clenshaw_curtis(8, ends), self._law()
        half = 0.5 * (ends[:, 1:] - ends[:, :1])
        u = ends.mean(-1, keepdim=True) + half * nodes
        y = u if self.warp is None else self.warp.inverse(u)
        d = law.cdf(u) - (y[:, 8:9] >= split).to(u)
        k = kernel(y - split, d) * (half if self.warp is None else half * self.warp.scale * torch.cosh(u))
        blur = 1 + law.log_weight.amax(-1).clamp(min=0) + (0 if law.cut is None else law.cut[-1])
        noise = 8 * torch.finfo(u.dtype).eps * (k.abs() * (blur + u.abs() / half)).amax(-1)
        value, other = (k * d) @ weight, (k * d)[:, ::2] @ coarse
        return value, (value - other).abs() - noise, ((k * d).abs() * (1 - d.abs())) @ weight


def _mean_absolute(loc: Tensor, scale: Tensor) -> Tensor:
    """E|X| of X ~ Normal(loc, scale²)."""
    z = loc / scale
    return loc * torch.erf(z * math.sqrt(0.5)) + scale * math.sqrt(2 / math.pi) * torch.exp(-0.5 * z * z)


def _clenshaw_curtis(n: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """n + 1 nodes and weights on [-1, 1], n even; every second node is one of the rule for n / 2 (Waldvogel 2006)."""
    j = torch.arange(n + 1, dtype=like.dtype, device=like.device)
    ends = torch.where((j > 0) & (j < n), 1.0, 0.5)
    terms = torch.cos(j[:, None] * j[::2] * (math.pi / n)) / (1 - j[::2].square())
    return -torch.cos(j * (math.pi / n)), (terms * ends[::2]).sum(-1) * ends * (4 / n)
