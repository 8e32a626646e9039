"""Likelihood-tempered sequential Monte Carlo: from prior draws to the posterior, vectorised over particles and curves.

Where the particles at the posterior are still too much alike, their moves go on until they pass the gate or the time is up.

Source: Del Moral, Doucet, Jasra, "Sequential Monte Carlo samplers", JRSS B 68 (2006), with adaptive temperatures (Jasra et al.,
Scand. J. Statist. 38, 2011, Section 3). The moves are ours: differential evolution (ter Braak, Stat. Comput. 16, 2006) on the
parameters in which the mean curve is not linear, together with autoregressive draws of the amplitudes from their Gaussian
conditional (Neal 1999), after which hardly anything is left of the posterior's ridges.
"""

import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from lcx.priors.parametric import Prior
from lcx.reference.amplitudes import Amplitudes
from lcx.reference.diagnostics import ENOUGH, lineage_ess
from lcx.reference.draws import Draws, check_density
from lcx.reference.target import Particles, Target

_POOL = 64  # prior draws per particle, out of which the first particles are taken
_KEPT = 0.5  # effective share of the particles that each later rise of the temperature leaves
_MOST_STAGES = 200
_SWEEPS = (4, 60)  # least and most per stage; between them, until the curves have forgotten where the stage began
_FORGOTTEN = 0.5  # largest correlation of the particles' curves, at ``target.WATCHED``, with those at the stage's begin
_SUBSETS = (0.3, 0.6, 1.0)  # chances of a coordinate to take part in a move, as in DREAM (Vrugt et al. 2009)
_SPREAD = 0.7  # sd of the logarithm of a move's length
_ACCEPTED = 0.2  # acceptance the length is adapted to
_ALONG = 0.6  # chance of a move of the amplitudes along a difference too
_STAY = 0.15  # chance of a move of the amplitudes alone
_AIM = 1.25 * ENOUGH  # the ESS at which moves at the posterior end: above the gate, since it is looked at more than once
_AGAIN = (10, 0.25)  # sweeps between two looks: at least so many, and this share of those done at the posterior
_REACH = 2 * ENOUGH  # of fewer particles ``_AIM`` asks too much, so that nothing goes on
_CHUNK = {"cuda": 1 << 20}  # particles moved at once; elsewhere 1 << 13, what a CPU holds in its cache

_Moved = tuple[Particles, Tensor, Tensor]  # with the lengths of moves, adapted, and the share accepted, per curve


def smc(
    prior: Prior,
    values: Float[Tensor, "B T"],
    steps: Float[Tensor, "B T"],
    watched: Float[Tensor, "B W"],
    *,
    particles: int,
    seconds: float,
    generator: torch.Generator,
    progress: bool,
) -> Draws:
    """Draws from the posterior of B curves, each by ``particles`` particles.

    Args:
        prior: one whose families are linear in amplitudes with uniform laws (:class:`Amplitudes`).
        values: observed metric in model units; NaN is missing.
        steps: model steps of the values.
        watched: model steps of the predictions whose effective sample size is to pass the gate.
        particles: number of particles per curve, >= 4. Fewer than 800 are not moved on: the gate is out of their reach.
        seconds: wall time per curve after which particles that do not pass are moved no more. Tempering is never cut short.
        generator: on the device of ``values``. What it draws for a curve depends on ``seconds`` only where these end its moves.
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
        for y, t, later in zip(*(x.split(at_once) for x in (values, steps, watched)), strict=True):
            until = time.monotonic() + seconds * len(y)
            cloud = _temper(prior, amplitudes, pool, y, t, particles, generator, bar)
            if particles >= _REACH:
                _go_on(cloud, later, until, generator, bar)
            bar.update(len(y))
            theta = amplitudes.join(cloud.state.eta, cloud.state.rest, generator)[:, None]
            done.append((theta, cloud.acceptance, cloud.log_evidence, cloud.origin))
    theta, acceptance, log_evidence, origin = (torch.cat(part).cpu() for part in zip(*done, strict=True))
    admissible = torch.ones(theta.shape[:3], dtype=torch.bool)
    return Draws(theta, admissible, acceptance, log_evidence=log_evidence, origin=origin)


@dataclass
class _Cloud:
    """Particles of B curves and what is known of them, at the temperature 1 unless log evidence is NaN."""

    target: Target
    state: Particles
    length: Float[Tensor, "B"]
    acceptance: Float[Tensor, "B"]
    log_evidence: Float[Tensor, "B"]
    origin: Int[Tensor, "B N"]


def _temper(
    prior: Prior, amplitudes: Amplitudes, pool: Tensor, values: Tensor, steps: Tensor, n: int, generator: torch.Generator, bar: tqdm
) -> _Cloud:
    device = values.device
    target = Target.of(amplitudes, values, steps, amplitudes.split(pool[: 1 << 14].double())[0])
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
        state = moved if state is None else state.replaced(rows, moved)
        log_likelihood, effective = state.log_likelihood, _KEPT * n
        bar.set_postfix(temperature=f"{heat.min().item():.2g}")
    return _Cloud(target, state, length, acceptance, log_evidence.where(heat == 1, math.nan), origin)


def _least_ess(amplitudes: Amplitudes, state: Particles, origin: Int[Tensor, "B N"], watched: Float[Tensor, "B W"]) -> Float[Tensor, "B"]:
    """The smallest effective sample size of each curve's predictions, bulk or tail, as the gate sees it."""
    curve = (state.eta[..., None, :] @ amplitudes.design(state.rest, watched[:, None])).squeeze(-2)
    seen = torch.cat([curve, amplitudes.sigma(state.rest)[..., None]], -1)
    each = (lineage_ess(x, families) for x, families in zip(seen.cpu(), origin.cpu(), strict=True))
    return torch.tensor([min(bulk.min(), tail.min()) for bulk, tail in each], device=seen.device)


def _go_on(cloud: _Cloud, watched: Float[Tensor, "B W"], until: float, generator: torch.Generator, bar: tqdm) -> None:
    """Sweeps at the posterior, from where the particles stand, until each curve's ESS is ``_AIM`` or the time is up.

    Particles only ever forget their ancestors here: they are neither drawn anew nor resampled, so that the log evidence stays.
    """
    amplitudes = cloud.target.amplitudes
    ess = _least_ess(amplitudes, cloud.state, cloud.origin, watched)
    rows = ((ess < _AIM) & ~cloud.log_evidence.isnan()).nonzero().squeeze(-1)
    if not len(rows):
        return
    # A stream of its own, lest the curves that follow depend on the time spent on these.
    seed = int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
    own, sweeps = torch.Generator(generator.device).manual_seed(seed), 0
    while len(rows) and time.monotonic() < until:
        target, state, length = cloud.target.rows(rows), cloud.state.rows(rows), cloud.length[rows]
        heat, accepted = torch.ones_like(length), length
        for _ in range(max(_AGAIN[0], round(_AGAIN[1] * sweeps))):
            state, length, accepted = _sweep(target, state, heat, length, own)
            sweeps += 1
            if time.monotonic() >= until:
                break
        cloud.state = cloud.state.replaced(rows, state)
        cloud.length[rows], cloud.acceptance[rows] = length, accepted
        ess[rows] = _least_ess(amplitudes, state, cloud.origin[rows], watched[rows])
        bar.set_postfix(sweeps=sweeps, ess=f"{ess.min().item():.0f} of {_AIM:.0f}")
        rows = rows[ess[rows] < _AIM]


def _stage(target: Target, state: Particles, heat: Tensor, length: Tensor, generator: torch.Generator) -> _Moved:
    """Sweeps at one temperature, until the curves have forgotten where they began."""
    begun, (least, most), accepted = state.watched, _SWEEPS, length
    for sweep in range(1, most + 1):
        state, length, accepted = _sweep(target, state, heat, length, generator)
        if sweep >= least and _correlation(begun, state.watched).max() < _FORGOTTEN:
            break
    return state, length, accepted


def _sweep(target: Target, state: Particles, heat: Tensor, length: Tensor, generator: torch.Generator) -> _Moved:
    """One move of every particle: each half is moved along differences within the other half."""
    a, b = (state.map(lambda x, half=half: x.tensor_split(2, 1)[half]) for half in (0, 1))
    a, _, length = _move(target, a, b, heat, length, generator)
    b, accepted, length = _move(target, b, a, heat, length, generator)
    return a.map(lambda x, y: torch.cat([x, y], 1), b), length, accepted


def _move(
    target: Target, state: Particles, others: Particles, heat: Tensor, length: Tensor, generator: torch.Generator
) -> tuple[Particles, Tensor, Tensor]:
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
    # Renewing the noise leaves N(0, I) invariant, to which the score is relative; moving it along a difference does not.
    density = torch.where(along[..., 0], 0.5 * ((state.noise**2).sum(-1) - (noise**2).sum(-1)), 0.0)
    stay = stay[..., 0]
    least = torch.log(uniform()) + state.score - density
    new = target.particles(state.rest + shift[..., :p], heat, noise, noisy=True, least=least)
    accept: Bool[Tensor, "B N"] = new.score > least
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
