"""The tempered posterior of SMC and its particles, in coordinates in which hardly anything is left of the posterior's ridges.

These are ``rest``, the parameters in which the mean curve is not linear, and the noise of the amplitudes in their Gaussian conditional
given ``rest``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lcx.priors.parametric import Prior
from lcx.reference.amplitudes import Amplitudes

WATCHED = [9, 19, 39, 59, 79, 99]  # indices into steps 1..100 of the curve values that particles keep


@dataclass(frozen=True)
class Particles:
    """Particles of B curves; ``score`` is their log density in (rest, noise) relative to N(0, I) of the noise."""

    rest: Float[Tensor, "B N p"]
    eta: Float[Tensor, "B N q"]
    noise: Float[Tensor, "B N q"]
    watched: Float[Tensor, "B N W"]
    log_likelihood: Float[Tensor, "B N"]
    score: Float[Tensor, "B N"]

    def map(self, function: Callable[..., Tensor], *others: "Particles") -> "Particles":
        """A function of each field, and of the same field of others."""
        return Particles(*(function(*(getattr(x, f.name) for x in (self, *others))) for f in fields(self)))

    def rows(self, rows: Tensor) -> "Particles":
        """Those of some curves."""
        return self.map(lambda x: x[rows])

    def replaced(self, rows: Tensor, others: "Particles") -> "Particles":
        """With others as the particles of some curves."""
        return self.map(lambda x, y: x.index_copy(0, rows, y), others)


@dataclass(frozen=True)
class Target:
    """The data of B curves on shared points, the integer steps 1..100 first: on those the admissible set is tested.

    ``observed`` is 1 at observed points and 0 elsewhere in the ``window`` around them. ``center`` and ``precision`` are the first
    two moments of the amplitudes under the prior, a normal law that stands in for theirs in proposals.
    """

    amplitudes: Amplitudes
    points: Float[Tensor, "B 1 P"]
    observed: Float[Tensor, "B 1 O"]
    values: Float[Tensor, "B 1 O"]
    window: slice
    center: Float[Tensor, "q"]
    precision: Float[Tensor, "q q"]

    @classmethod
    def of(cls, amplitudes: Amplitudes, values: Tensor, steps: Tensor, eta: Tensor) -> "Target":
        """Of curves (B, T) with NaN where nothing was observed; ``eta`` are amplitudes of prior draws, for their two moments."""
        grid = torch.arange(1.0, 101.0, dtype=eta.dtype, device=eta.device).expand(len(values), -1)
        seen = ~(values.isnan() | steps.isnan())
        values, steps = torch.where(seen, values, 0.0).to(eta), torch.where(seen, steps, 1.0).to(eta)
        if ((steps == steps.round()) & (steps >= 1) & (steps <= 100)).all():
            index, zero = steps.long() - 1, torch.zeros_like(grid)
            points, observed, values = grid, zero.scatter_add(1, index, seen.to(eta)), zero.scatter_add(1, index, values)
        else:
            points, observed, values = (torch.cat(x, 1) for x in ((grid, steps), (0 * grid, seen.to(eta)), (0 * grid, values)))
        flat = eta.flatten(0, -2)
        precision = torch.linalg.inv(torch.cov(flat.T).reshape(len(flat.T), -1) + 1e-9 * torch.eye(len(flat.T)).to(eta))
        some = observed.amax(0).nonzero()
        window = slice(int(some.min()), int(some.max()) + 1)
        observed, values = observed[:, None, window], values[:, None, window]
        return cls(amplitudes, points[:, None], observed, values, window, flat.mean(0), precision)

    def rows(self, rows: Tensor) -> "Target":
        """Those of some curves."""
        return replace(self, points=self.points[rows], observed=self.observed[rows], values=self.values[rows])

    def particles(self, rest: Tensor, heat: Tensor, given: Tensor, *, noisy: bool, least: Tensor | None = None) -> Particles:
        """Particles at (rest, noise) if ``noisy``, else at (rest, eta): eta = mean + factor^-T noise, its Gaussian conditional.

        Those whose score is not above ``least`` get -inf without a look at the rest of their curve.
        """
        design, sigma, heat = self.amplitudes.design(rest, self.points[..., self.window]), self.amplitudes.sigma(rest), heat[:, None]
        mean, factor, failed = self._conditional(design, sigma, heat)
        if noisy:
            noise, eta = given, (mean + torch.linalg.solve_triangular(factor.mT, given[..., None], upper=True)).squeeze(-1)
        else:
            noise, eta = (factor.mT @ (given[..., None] - mean)).squeeze(-1), given
        curve = (eta[..., None, :] @ design).squeeze(-2)
        log_likelihood = self._log_likelihood(curve, sigma)
        log_prior = self.amplitudes.log_prior(eta, rest)
        score = heat * log_likelihood + log_prior - _log_volume(factor) + 0.5 * (noise**2).sum(-1)
        some = (failed == 0) & (score > (-math.inf if least is None else least))  # NaN is above nothing
        score, watched = score.masked_fill(~some, -math.inf), score.new_zeros(*score.shape, len(WATCHED))
        whole = self._whole(curve[some], eta[some], rest[some], some.nonzero()[:, 0])
        score[some] = score[some].masked_fill(Prior._violation(whole) > 0, -math.inf)
        watched[some] = whole[:, WATCHED]
        return Particles(rest, eta, noise, watched, log_likelihood, score)

    def log_density(self, rest: Float[Tensor, "B N p"], noise: Float[Tensor, "B N q"], penalty: float) -> tuple[Tensor, Tensor, Tensor]:
        """Log posterior density of (rest, noise) up to a constant, with gradients everywhere; eta; and whether it is admissible.

        Amplitudes that may not be negative are mirrored at 0, which halves the density and leaves the law of eta as it is. Beyond
        the other limits of their laws, and for curves outside the admissible set, the density falls by ``penalty`` nats per unit.
        """
        design, sigma = self.amplitudes.design(rest, self.points), self.amplitudes.sigma(rest)
        mean, factor, _ = self._conditional(design[..., self.window], sigma, torch.ones_like(sigma))
        eta = (mean + torch.linalg.solve_triangular(factor.mT, noise[..., None], upper=True)).squeeze(-1)
        eta, beyond = self.amplitudes.within(eta)
        curve = (eta[..., None, :] @ design).squeeze(-2)
        inside = curve[..., :100]
        outside = torch.relu(-inside).amax(-1) + torch.relu(inside - 1).amax(-1) + torch.relu(inside[..., 0] - inside[..., -1]) + beyond
        density = self._log_likelihood(curve[..., self.window], sigma) + self.amplitudes.log_prior(eta, rest) - _log_volume(factor)
        return density - penalty * outside, eta, outside == 0

    def _conditional(self, design: Tensor, sigma: Tensor, heat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean (..., q, 1) and Cholesky factor of the precision of eta given ``rest``, and where there is none."""
        pull = (heat / sigma**2)[..., None]
        weighted = design * self.observed[..., None, :]
        factor, failed = torch.linalg.cholesky_ex(pull[..., None] * (weighted @ design.mT) + self.precision)
        linear = pull * (weighted @ self.values[..., None]).squeeze(-1) + self.precision @ self.center
        return torch.cholesky_solve(linear[..., None], factor), factor, failed

    def _log_likelihood(self, curve: Tensor, sigma: Tensor) -> Tensor:
        misfit = (self.observed * ((self.values - curve) / sigma[..., None]) ** 2).sum(-1)
        return -0.5 * misfit - self.observed.sum(-1) * (torch.log(sigma) + 0.5 * math.log(2 * math.pi))

    def _whole(
        self, seen: Float[Tensor, "K O"], eta: Float[Tensor, "K q"], rest: Float[Tensor, "K p"], row: Int[Tensor, "K"]
    ) -> Float[Tensor, "K 100"]:
        """Curves at steps 1..100 of particles of the curves ``row``, ``seen`` within the window."""
        start, stop = self.window.start, self.window.stop
        points = torch.cat([self.points[..., :start], self.points[..., stop:]], -1).squeeze(1)[row]
        before, after = (eta[:, None] @ self.amplitudes.design(rest, points)).squeeze(1).tensor_split([start], -1)
        return torch.cat([before, seen, after], -1)[:, :100]


def _log_volume(factor: Tensor) -> Tensor:
    return torch.log(torch.diagonal(factor, dim1=-2, dim2=-1)).sum(-1)
