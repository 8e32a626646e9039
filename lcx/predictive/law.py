"""The predictive distribution: density, cdf, quantiles, moments, CRPS and samples, all of one law."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lcx.predictive.mixture import Mixture
from lcx.predictive.quadrature import integral
from lcx.predictive.warp import AsinhWarp


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

    def flat(self) -> "Predictive":
        """Gives the same laws with one batch axis."""
        return self._map(lambda x: x.reshape(-1, x.shape[-1]), lambda x: x if not x.dim() else x.expand(self.batch_shape).reshape(-1))

    def split(self, size: int) -> "list[Predictive]":
        """Gives the laws of at most `size` points each, in the order of the flattened batch."""
        flat, points = self.flat(), self.loc[..., 0].numel()
        return [
            flat._map(lambda x, at=at: x[at : at + size], lambda x, at=at: x[at : at + size] if x.dim() else x)
            for at in range(0, points, size)
        ]

    def at(self, points: Bool[Tensor, "*batch"] | Int[Tensor, "N"]) -> "Predictive":
        """Gives the laws of some points in a row: where a mask says so, or at places of a flat batch."""
        return self._map(lambda x: x[points], lambda x: x.expand(self.batch_shape)[points] if x.dim() else x)

    def log_prob(self, y: Float[Tensor, "*#out"]) -> Float[Tensor, "*out"]:
        """Gives the log density at y in nats per user unit; -inf outside the bounds, NaN at NaN."""
        z = ((y if self.warp is None else self.warp.forward(y))[..., None] - self.loc) / self.scale
        log_weight = torch.log_softmax(self.logits, -1)
        out = torch.logsumexp(log_weight - 0.5 * z * z - torch.log(self.scale) - 0.5 * math.log(2 * math.pi), -1)
        out = out if self._edges() is None else out - self._on_u().log_inside()
        out = out if self.warp is None else out + self.warp.log_slope(y)
        out = out if self.lower is None else out.masked_fill(y < self.lower, -math.inf)
        return out if self.upper is None else out.masked_fill(y > self.upper, -math.inf)

    def cdf(self, y: Float[Tensor, "*#out"]) -> Float[Tensor, "*out"]:
        """Gives P(Y <= y), relatively exact in the left tail; NaN at NaN."""
        return self._on_u().cdf(y if self.warp is None else self.warp.forward(y))

    def icdf(self, p: Float[Tensor, "*#out"] | float) -> Float[Tensor, "*out"]:
        """Gives the p-quantile in the user's unit, 0 < p < 1, solved from the nearer tail: both are equally exact.

        All levels of an axis that leads the batch are searched for together, and rise there with p.
        """
        u = self._on_u().quantiles(torch.as_tensor(p, dtype=self.loc.dtype, device=self.loc.device))
        y = u if self.warp is None else self.warp.inverse(u)
        return y if self.lower is None and self.upper is None else y.clamp(self.lower, self.upper)

    def moments(self) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
        """Gives mean and variance, user's unit and its square: in closed form, but for a warp inside bounds.

        There, with F the cdf, the mean is c - ∫ (F(y) - 1{y >= c}) dy at c = median, the variance
        -2 ∫ (y - m) (F(y) - 1{y >= m}) dy at m = mean.
        """
        law = self._on_u()
        if self.warp is None:
            return law.moments()
        if law.low is not None:
            median = self.icdf(0.5)
            mean = median - integral(law, self.warp, median, lambda x, d: torch.ones_like(d))
            return mean, integral(law, self.warp, mean, lambda x, d: -2 * x)
        # Each component is a Johnson S_U.
        center, width = self.warp.center[..., None], self.warp.scale[..., None]
        weight, square, growth = law.weight, self.scale.square(), torch.exp(0.5 * self.scale.square())
        square = 0.5 * width.square() * torch.expm1(square) * (growth.square() * torch.cosh(2 * self.loc) + 1)
        loc = center + width * growth * torch.sinh(self.loc)
        mean = (weight * loc).sum(-1)
        return mean, (weight * (square + (loc - mean[..., None]).square())).sum(-1)

    @property
    def mean(self) -> Float[Tensor, "*batch"]:
        """E[Y], user's unit."""
        return self.moments()[0]

    @property
    def variance(self) -> Float[Tensor, "*batch"]:
        """Var[Y], user's unit squared."""
        return self.moments()[1]

    def crps(self, y: Float[Tensor, "*#out"]) -> Float[Tensor, "*out"]:
        """Gives the CRPS ∫ (F(x) - 1{x >= y})² dx (Gneiting & Raftery 2007, JASA 102), user's unit; lower is better.

        In closed form up to 200 components without warp or bounds (Grimit et al. 2006, QJRMS 132), else by quadrature.
        """

        def absolute(m: Tensor, s: Tensor) -> Tensor:  # E|X| of X ~ Normal(m, s²)
            return m * torch.erf(m / s * math.sqrt(0.5)) + s * math.sqrt(2 / math.pi) * torch.exp(-0.5 * (m / s) ** 2)

        if self.warp is not None or self._edges() is not None or self.loc.shape[-1] > 200:  # K² pairs
            return torch.where(torch.isinf(y), y.abs(), integral(self._on_u(), self.warp, y, lambda x, d: d))
        weight, pairs = torch.softmax(self.logits, -1), torch.zeros_like(self.loc)
        for w, m, s in zip(*(x.split(1, -1) for x in (weight, self.loc, self.scale)), strict=True):
            pairs = pairs + w * absolute(self.loc - m, torch.hypot(self.scale, s))
        return (weight * (absolute(y[..., None] - self.loc, self.scale) - 0.5 * pairs)).sum(-1)

    def excess(self, y: Float[Tensor, "*#out"], above: bool) -> Float[Tensor, "*out"]:
        """Gives E[max(Y - y, 0)] if ``above``, else E[max(y - Y, 0)], user's unit; in closed form without warp or bounds.

        That is the integral of the tail beyond y. Source: expected improvement of a normal, Jones et al. 1998, J. Global Optim. 13.
        """
        if self.warp is not None or self._edges() is not None:
            return integral(self._on_u(), self.warp, y, lambda x, d: -(d < 0).to(d) if above else (d > 0).to(d))
        z = (y[..., None] - self.loc) / (self.scale if above else -self.scale)
        density, tail = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi), 0.5 * torch.erfc(z * math.sqrt(0.5))
        return (torch.softmax(self.logits, -1) * self.scale * (density - z * tail)).sum(-1)

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

    def _on_u(self) -> Mixture:
        """The law of u, with both bounds or none; kept with what it has worked out, unless gradients are to be taken."""
        if self.logits.requires_grad or self.loc.requires_grad or self.scale.requires_grad:
            return self._mixture()
        return self._kept

    @cached_property
    def _kept(self) -> Mixture:
        return self._mixture()

    def _mixture(self) -> Mixture:
        return Mixture(self.logits, self.loc, self.scale, *(self._edges() or (None, None)))
