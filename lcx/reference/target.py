"""The tempered posterior of SMC and its particles, in coordinates in which hardly anything is left of the posterior's ridges.

These are ``rest``, the parameters in which the mean curve is not linear, and the noise of the amplitudes in their Gaussian conditional
given ``rest``. The mean curve is eta @ design, and what of the design ``rest`` changes are few columns of values.
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

    Attributes:
        amplitudes: the coordinates.
        points: steps.
        still: what of the design no ``rest`` changes (:meth:`Amplitudes.still`).
        window: the points from the first to the last observed one.
        observed: 1 at observed points of the window and 0 elsewhere.
        values: the metric there.
        weighted: ``observed`` times ``still`` and ``values``.
        moments: the linear map to design design^T and design values^T from sums over observed points: of products of the columns with
            ``weighted`` and with one another, and 1.
        center, precision: the first two moments of the amplitudes under the prior, a normal law that stands in for theirs in proposals.
    """

    amplitudes: Amplitudes
    points: Float[Tensor, "B P"]
    still: Float[Tensor, "B q P"]
    window: slice
    observed: Float[Tensor, "B O"]
    values: Float[Tensor, "B O"]
    weighted: Float[Tensor, "B q+1 O"]
    moments: Float[Tensor, "B q*q+q F"]
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
        observed, values, still = observed[:, window], values[:, window], amplitudes.still(points)
        weighted = torch.cat([still[..., window], values[:, None]], 1) * observed[:, None]
        moments = _moments(amplitudes.signs.to(eta), weighted @ still[..., window].mT)
        return cls(amplitudes, points, still, window, observed, values, weighted, moments, flat.mean(0), precision)

    def rows(self, rows: Tensor) -> "Target":
        """Those of some curves."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _OF_CURVES})

    def particles(self, rest: Tensor, heat: Tensor, given: Tensor, *, noisy: bool, least: Tensor | None = None) -> Particles:
        """Particles at (rest, noise) if ``noisy``, else at (rest, eta): eta = factor^-T (pulled + noise), its Gaussian conditional.

        Those whose score is not above ``least`` get -inf without a look at the rest of their curve.
        """
        sigma, heat = self.amplitudes.sigma(rest), heat[:, None]
        columns = self.amplitudes.columns(rest, self.points[:, None, self.window])
        factor, pulled = self._conditional(columns, heat / sigma**2)
        if noisy:
            noise, eta = given, _solve(factor, pulled + given.mT, upper=True).mT
        else:  # where there is no factor the score is -inf, and noise that is finite lets moves lead out of there
            lower = torch.ones_like(self.precision).tril()[..., None]
            noise, eta = ((factor * lower * given.mT[:, :, None]).sum(1) - pulled).mT.nan_to_num(0, 0, 0), given
        base, shares = eta @ self.still, eta @ self.amplitudes.signs.to(eta)
        curve = _joined(base[..., self.window], shares, columns)
        misfit = ((self.values[:, None] - curve) ** 2 @ self.observed[..., None]).squeeze(-1) / sigma**2
        log_likelihood = -0.5 * misfit - self.observed.sum(-1, keepdim=True) * (torch.log(sigma) + 0.5 * math.log(2 * math.pi))
        log_volume = torch.log(torch.diagonal(factor, dim1=1, dim2=2)).sum(-1)
        score = heat * log_likelihood + self.amplitudes.log_prior(eta, rest) - log_volume + 0.5 * (noise**2).sum(-1)
        some = score > (-math.inf if least is None else least)  # NaN is above nothing, as where there is no factor
        chosen, watched = some.flatten().nonzero().squeeze(-1), score.new_zeros(score.numel(), len(WATCHED))
        seen, base, shares, some_rest = (x.flatten(0, 1)[chosen] for x in (curve, base, shares, rest))
        watched[chosen], admissible = self._whole(seen, base, shares, some_rest, chosen // score.shape[1])
        some = torch.zeros_like(some.flatten()).index_put((chosen,), admissible).view_as(some)
        watched = watched.unflatten(0, score.shape)
        return Particles(rest, eta, noise, watched, log_likelihood, score.masked_fill(~some, -math.inf))

    def _conditional(self, columns: list[Tensor], pull: Float[Tensor, "B N"]) -> tuple[Tensor, Tensor]:
        """Of eta given ``rest``: the Cholesky factor of its precision (B, q, q, N), NaN where there is none; factor^T mean (B, q, N)."""
        q = len(self.center)
        pairs = [((x * y) @ self.observed[..., None]).mT for i, x in enumerate(columns) for y in columns[: i + 1]]
        sums = torch.cat([*(self.weighted @ x.mT for x in columns), *pairs, torch.ones_like(pull)[:, None]], 1)
        gram, linear = (pull[:, None] * (self.moments @ sums)).tensor_split([q * q], 1)
        factor = _cholesky(gram.unflatten(1, (q, q)) + self.precision[..., None])
        return factor, _solve(factor, linear + (self.precision @ self.center)[:, None], upper=False)

    def _whole(self, seen: Tensor, base: Tensor, shares: Tensor, rest: Tensor, row: Int[Tensor, "K"]) -> tuple[Tensor, Tensor]:
        """Particles of the curves ``row``, ``seen`` within the window: the curve at ``WATCHED`` steps, and whether it is admissible."""
        start, stop = self.window.start, self.window.stop
        points, base = (torch.cat([x[..., :start], x[..., stop:]], -1) for x in (self.points, base))
        points = points if len(points) == 1 else points[row]
        before, after = _joined(base, shares, self.amplitudes.columns(rest, points)).tensor_split([start], -1)
        whole = torch.cat([before, seen, after], -1)[:, :100]
        return whole[:, WATCHED], Prior.admits(whole)


_OF_CURVES = ("points", "still", "observed", "values", "weighted", "moments")


def _joined(base: Float[Tensor, "*batch T"], shares: Float[Tensor, "*batch m"], columns: list[Tensor]) -> Float[Tensor, "*batch T"]:
    """Curves from what no ``rest`` changes and the shares of the columns."""
    for k, column in enumerate(columns):
        base = torch.addcmul(base, shares[..., k, None], column)
    return base


def _moments(signs: Float[Tensor, "q m"], known: Float[Tensor, "B q+1 q"]) -> Float[Tensor, "B q*q+q F"]:
    """The map of ``Target.moments``, with design = still + signs @ columns; ``known`` is [still, values] still^T."""
    (q, m), parts = signs.shape, []
    for k in range(m):  # the sums of a column with still, then with the values
        cross = signs[:, k, None, None] * torch.eye(q, dtype=signs.dtype, device=signs.device)
        parts.append(torch.cat([(cross + cross.transpose(0, 1)).reshape(q * q, q), signs.new_zeros(q, q)]))
        parts.append(torch.cat([signs.new_zeros(q * q, 1), signs[:, k, None]]))
    for i in range(m):
        for j in range(i + 1):
            both = signs[:, i, None] * signs[:, j]
            both = both if i == j else both + both.T
            parts.append(torch.cat([both.reshape(q * q, 1), signs.new_zeros(q, 1)]))
    moving = torch.cat(parts, 1) if parts else signs.new_zeros(q * q + q, 0)
    return torch.cat([moving.expand(len(known), -1, -1), torch.cat([known[:, :q].flatten(1), known[:, q]], 1)[..., None]], -1)


def _cholesky(matrix: Float[Tensor, "B q q N"]) -> Float[Tensor, "B q q N"]:
    """Lower factors, of many small matrices sooner than by a call of LAPACK for each; NaN where there is none.

    ``matrix`` is lost. What is above the diagonal means nothing.
    """
    for j in range(matrix.shape[1]):
        matrix[:, j, j].sqrt_()
        below = matrix[:, j + 1 :, j].div_(matrix[:, j, None, j])
        matrix[:, j + 1 :, j + 1 :].addcmul_(below[:, :, None], below[:, None], value=-1)
    return matrix


def _solve(factor: Float[Tensor, "B q q N"], right: Float[Tensor, "B q N"], *, upper: bool) -> Float[Tensor, "B q N"]:
    """factor^-1 right, or factor^-T right if ``upper``. ``right`` is lost."""
    q = factor.shape[1]
    for j in reversed(range(q)) if upper else range(q):
        x = right[:, j].div_(factor[:, j, j])
        rest, row = (slice(0, j), factor[:, j, :j]) if upper else (slice(j + 1, q), factor[:, j + 1 :, j])
        right[:, rest].addcmul_(row, x[:, None], value=-1)
    return right
