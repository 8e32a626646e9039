"""Likelihood-tempered sequential Monte Carlo: from prior draws to the posterior, vectorised over particles and curves.

Source: Del Moral, Doucet, Jasra, "Sequential Monte Carlo samplers", JRSS B 68 (2006), with adaptive temperatures (Jasra et al.,
Scand. J. Statist. 38, 2011, Section 3). The moves are ours: differential evolution (ter Braak, Stat. Comput. 16, 2006) on the
parameters in which the mean curve is not linear, together with autoregressive draws of the amplitudes from their Gaussian
conditional (Neal 1999), after which hardly anything is left of the posterior's ridges.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from lcx.priors.parametric import Prior
from lcx.reference.amplitudes import Amplitudes
from lcx.reference.draws import Draws, check_density

_POOL = 64  # prior draws per particle, out of which the first particles are taken
_KEPT = 0.5  # effective share of the particles that each later rise of the temperature leaves
_MOST_STAGES = 200
_SWEEPS = (4, 60)  # least and most per stage; between them, until the curves have forgotten where the stage began
_FORGOTTEN = 0.5  # largest correlation of the particles' curves, at the grid points below, with those at the stage's begin
_WATCHED = [9, 19, 39, 59, 79, 99]
_SUBSETS = (0.3, 0.6, 1.0)  # chances of a coordinate to take part in a move, as in DREAM (Vrugt et al. 2009)
_SPREAD = 0.7  # sd of the logarithm of a move's length
_ACCEPTED = 0.2  # acceptance the length is adapted to
_ALONG = 0.6  # chance of a move of the amplitudes along a difference too
_STAY = 0.15  # chance of a move of the amplitudes alone
_CHUNK = {"cuda": 1 << 20}  # particles moved at once; elsewhere 1 << 13, what a CPU holds in its cache


def smc(
    prior: Prior, values: Float[Tensor, "B T"], steps: Float[Tensor, "B T"], *, particles: int, generator: torch.Generator, progress: bool
) -> Draws:
    """Draws from the posterior of B curves, each by ``particles`` particles.

    Args:
        prior: one whose families are linear in amplitudes with uniform laws (:class:`Amplitudes`).
        values: observed metric in model units; NaN is missing.
        steps: model steps of the values.
        particles: number of particles per curve, >= 4.
        generator: on the device of ``values``.
        progress: show a progress bar, of curves finished.

    Returns:
        One chain of ``particles`` equally weighted draws per curve. A curve still short of the posterior after 200 stages has
        log evidence NaN.

    Raises:
        ValueError: the prior has no such amplitudes, or every prior draw gives a curve zero density.
        RuntimeError: the prior admits no curves.
    """
    amplitudes, done = Amplitudes(prior), []
    pool = prior.draw(_POOL * particles, generator)
    at_once = max(1, _CHUNK.get(values.device.type, 1 << 13) // particles)
    with tqdm(total=len(values), disable=not progress, unit="curve", desc="smc") as bar:
        for chunk in zip(values.split(at_once), steps.split(at_once), strict=True):
            done.append(_sample(prior, amplitudes, pool, *chunk, particles, generator, bar))
    theta, acceptance, log_evidence, origin = (torch.cat(part).cpu() for part in zip(*done, strict=True))
    admissible = torch.ones(theta.shape[:3], dtype=torch.bool)
    return Draws(theta, admissible, acceptance, log_evidence=log_evidence, origin=origin)


def _sample(
    prior: Prior, amplitudes: Amplitudes, pool: Tensor, values: Tensor, steps: Tensor, n: int, generator: torch.Generator, bar: tqdm
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    device = values.device
    target = _Target.of(amplitudes, values, steps, amplitudes.split(pool[: 1 << 14].double())[0])
    pieces = [prior.parameters(z) for z in pool.split(_CHUNK.get(device.type, 1 << 13))]
    log_likelihood = torch.stack(
        [
            torch.cat([prior.log_likelihood(theta, y, t) for theta in pieces]).double()
            for y, t in zip(values.float(), steps.float(), strict=True)
        ]
    )
    check_density(prior, log_likelihood, values)
    heat, log_evidence, length, acceptance = torch.tensor([[0.0], [0.0], [1.0], [1.0]], device=device).double().repeat(1, len(values))
    state: Any = None
    origin, effective = torch.arange(len(pool), device=device).expand(len(values), -1), n
    for _ in range(_MOST_STAGES):
        rows = (heat < 1).nonzero().squeeze(-1)
        if not len(rows):
            break
        some = log_likelihood[rows]
        rise = _rise(some, 1 - heat[rows], effective)
        log_weight = rise[:, None] * some
        log_evidence[rows] += torch.logsumexp(log_weight, 1) - math.log(some.shape[1])
        heat[rows] = torch.where(rise == 1 - heat[rows], 1.0, heat[rows] + rise)
        chosen = _resample(log_weight, n, generator)
        origin = origin[:, :n].index_copy(0, rows, origin[rows].gather(1, chosen))
        if state is None:
            eta, rest = amplitudes.split(pool[chosen].double())
        else:
            eta, rest = (x[rows].gather(1, chosen[..., None].expand(-1, -1, x.shape[-1])) for x in (state.eta, state.rest))
        begun = target.rows(rows).particles(rest, heat[rows], eta, noisy=False)
        moved, length[rows], acceptance[rows] = _stage(target.rows(rows), begun, heat[rows], length[rows], generator)
        state = moved if state is None else state.map(lambda x, y, rows=rows: x.index_copy(0, rows, y), moved)
        log_likelihood, effective = state.log_likelihood, _KEPT * n
        bar.set_postfix(temperature=f"{heat.min().item():.2g}")
        bar.update(int((heat[rows] == 1).sum()))
    return amplitudes.join(state.eta, state.rest, generator)[:, None], acceptance, log_evidence.where(heat == 1, math.nan), origin


@dataclass(frozen=True)
class _Particles:
    """Particles of B curves; ``score`` is their log density in (rest, noise) relative to N(0, I) of the noise."""

    rest: Float[Tensor, "B N p"]
    eta: Float[Tensor, "B N q"]
    noise: Float[Tensor, "B N q"]
    watched: Float[Tensor, "B N W"]
    log_likelihood: Float[Tensor, "B N"]
    score: Float[Tensor, "B N"]

    def map(self, function: Callable[..., Tensor], *others: "_Particles") -> "_Particles":
        return _Particles(*(function(*(getattr(x, f.name) for x in (self, *others))) for f in fields(self)))


@dataclass(frozen=True)
class _Target:
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
    def of(cls, amplitudes: Amplitudes, values: Tensor, steps: Tensor, eta: Tensor) -> "_Target":
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

    def rows(self, rows: Tensor) -> "_Target":
        return replace(self, points=self.points[rows], observed=self.observed[rows], values=self.values[rows])

    def particles(self, rest: Tensor, heat: Tensor, given: Tensor, *, noisy: bool) -> _Particles:
        """Particles at (rest, noise) if ``noisy``, else at (rest, eta): eta = mean + factor^-T noise, its Gaussian conditional."""
        design, sigma, heat = self.amplitudes.design(rest, self.points), self.amplitudes.sigma(rest), heat[:, None]
        seen, pull = design[..., self.window], (heat / sigma**2)[..., None]
        weighted = seen * self.observed[..., None, :]
        factor, failed = torch.linalg.cholesky_ex(pull[..., None] * (weighted @ seen.mT) + self.precision)
        linear = pull * (weighted @ self.values[..., None]).squeeze(-1) + self.precision @ self.center
        mean = torch.cholesky_solve(linear[..., None], factor)
        if noisy:
            noise, eta = given, (mean + torch.linalg.solve_triangular(factor.mT, given[..., None], upper=True)).squeeze(-1)
        else:
            noise, eta = (factor.mT @ (given[..., None] - mean)).squeeze(-1), given
        curve = (eta[..., None, :] @ design).squeeze(-2)
        misfit = (self.observed * ((self.values - curve[..., self.window]) / sigma[..., None]) ** 2).sum(-1)
        log_likelihood = -0.5 * misfit - self.observed.sum(-1) * (torch.log(sigma) + 0.5 * math.log(2 * math.pi))
        log_prior = self.amplitudes.log_prior(eta, rest)
        log_volume = torch.log(torch.diagonal(factor, dim1=-2, dim2=-1)).sum(-1)
        score = heat * log_likelihood + log_prior - log_volume + 0.5 * (noise**2).sum(-1)
        wrong = (Prior._violation(curve[..., :100]) > 0) | (failed > 0) | score.isnan()
        return _Particles(rest, eta, noise, curve[..., _WATCHED], log_likelihood, score.masked_fill(wrong, -math.inf))


def _stage(
    target: _Target, state: _Particles, heat: Tensor, length: Tensor, generator: torch.Generator
) -> tuple[_Particles, Tensor, Tensor]:
    """Sweeps at one temperature: each half of the particles is moved along differences within the other half."""
    begun, (least, most), accepted = state.watched, _SWEEPS, length
    for sweep in range(1, most + 1):
        a, b = (state.map(lambda x, half=half: x.tensor_split(2, 1)[half]) for half in (0, 1))
        a, _, length = _move(target, a, b, heat, length, generator)
        b, accepted, length = _move(target, b, a, heat, length, generator)
        state = a.map(lambda x, y: torch.cat([x, y], 1), b)
        if sweep >= least and _correlation(begun, state.watched).max() < _FORGOTTEN:
            break
    return state, length, accepted


def _move(
    target: _Target, state: _Particles, others: _Particles, heat: Tensor, length: Tensor, generator: torch.Generator
) -> tuple[_Particles, Tensor, Tensor]:
    """One proposal per particle: along a difference of two others, or along one in ``rest`` with the noise partly renewed."""
    (b, n, p), q, m, like = state.rest.shape, state.noise.shape[-1], others.rest.shape[1], {"dtype": length.dtype, "device": length.device}

    def uniform(*shape: int) -> Tensor:
        return torch.rand(b, n, *shape, generator=generator, **like)

    def normal(*shape: int) -> Tensor:
        return torch.randn(b, n, *shape, generator=generator, **like)

    first, gap = (uniform() * m).long(), 1 + (uniform() * (m - 1)).long()
    second = (first + gap) % m
    chance = torch.tensor(_SUBSETS, **like)[(uniform() * len(_SUBSETS)).long()]
    kind = uniform()
    along, stay = (kind < _ALONG)[..., None], (kind > 1 - _STAY)[..., None]  # noise moves along too; rest stays
    moving = uniform(p + q) < chance[..., None]
    moving = moving & torch.cat([~stay.expand(-1, -1, p), along.expand(-1, -1, q)], -1)
    factor = length[:, None] * torch.exp(_SPREAD * normal()) * 2.38 / (2 * moving.sum(-1).clamp(min=1)).sqrt()
    joined = torch.cat([others.rest, others.noise], -1)
    pair = [joined.gather(1, i[..., None].expand(-1, -1, p + q)) for i in (first, second)]
    shift = torch.where(moving, factor[..., None] * (pair[0] - pair[1]), 0.0)
    fresh = torch.where(uniform(1) < 0.4, 1.0, uniform(1))
    renewed = (1 - fresh**2).sqrt() * state.noise + fresh * normal(q)
    noise = torch.where(along, state.noise + shift[..., p:], renewed)
    new = target.particles(state.rest + shift[..., :p], heat, noise, noisy=True)
    # Renewing the noise leaves N(0, I) invariant, to which the score is relative; moving it along a difference does not.
    density = torch.where(along[..., 0], 0.5 * ((state.noise**2).sum(-1) - (noise**2).sum(-1)), 0.0)
    stay = stay[..., 0]
    accept: Bool[Tensor, "B N"] = torch.log(uniform()) < new.score - state.score + density
    share = (accept & ~stay).sum(1).to(length) / (~stay).sum(1).clamp(min=1)
    state = new.map(lambda x, y: torch.where(accept.reshape(b, n, *[1] * (x.dim() - 2)), x, y), state)
    return state, share, (length * torch.exp(share - _ACCEPTED)).clamp(1e-3, 3)


def _rise(log_likelihood: Float[Tensor, "B N"], room: Float[Tensor, "B"], effective: float) -> Float[Tensor, "B"]:
    """The largest rise of the temperature, up to ``room``, that leaves an ``effective`` number of particles."""

    def kept(rise: Tensor) -> Tensor:
        return 1 / (torch.softmax(rise[:, None] * log_likelihood, 1) ** 2).sum(1)

    low, high = torch.zeros_like(room), room
    for _ in range(60):
        middle = 0.5 * (low + high)
        enough = kept(middle) >= effective
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
    return torch.where(kept(room) >= effective, room, low)


def _resample(log_weight: Float[Tensor, "B M"], n: int, generator: torch.Generator) -> Int[Tensor, "B {n}"]:
    """Systematic resampling (Carpenter, Clifford, Fearnhead 1999), in random order lest neighbours share an ancestor."""
    b, like = len(log_weight), {"generator": generator, "dtype": log_weight.dtype, "device": log_weight.device}
    ladder = torch.softmax(log_weight, 1).cumsum(1)
    at = (torch.arange(n, device=log_weight.device) + torch.rand(b, 1, **like)) / n
    chosen = torch.searchsorted(ladder, at).clamp(max=ladder.shape[1] - 1)
    return chosen.gather(1, torch.rand(b, n, **like).argsort(1))


def _correlation(x: Float[Tensor, "B N W"], y: Float[Tensor, "B N W"]) -> Float[Tensor, "B W"]:
    x, y = (v - v.mean(1, keepdim=True) for v in (x, y))
    return (x * y).sum(1) / ((x * x).sum(1) * (y * y).sum(1)).sqrt().clamp(min=1e-300)
