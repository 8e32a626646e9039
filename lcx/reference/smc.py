"""Sequential Monte Carlo: tempered from prior draws to the posterior, vectorised over particles and curves.

Where the particles at the posterior do not pass the gate yet, they go on from where they stand: moves let them forget the ancestors that
they share; where that does not help, since ancestors are few or modes far apart, particles tempered from other prior draws join them.
"""

import math
import time
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from lcx.priors.parametric import Prior
from lcx.reference.amplitudes import Amplitudes
from lcx.reference.diagnostics import ENOUGH, FAMILIES, lineage_ess
from lcx.reference.draws import Draws
from lcx.reference.moves import sweep
from lcx.reference.target import Particles
from lcx.reference.tempering import CHUNK, Cloud, resample, temper

_POOL = 64  # prior draws per particle, out of which the first particles are taken
_AIM = 1.25 * ENOUGH  # the ESS at which moves at the posterior end: above the gate, since it is looked at more than once
_AGAIN = (10, 0.25)  # sweeps between two looks: at least so many, and this share of those done at the posterior
_PATIENCE = 150  # sweeps after which particles of another tempering join
_REACH = 2 * ENOUGH  # of fewer particles ``_AIM`` asks too much, so that nothing goes on


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

    Source: tempering and moves: :mod:`lcx.reference.tempering`, :mod:`lcx.reference.moves`; going on is ours.

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
    pool = prior.draw_screened(_POOL * particles, generator)
    at_once = max(1, CHUNK.get(values.device.type, 1 << 13) // particles)
    with tqdm(total=len(values), disable=not progress, unit="curve", desc="smc") as bar:
        for y, t, later in zip(*(x.split(at_once) for x in (values, steps, watched)), strict=True):
            until = time.monotonic() + seconds * len(y)
            cloud = temper(prior, amplitudes, pool, y, t, particles, generator, bar)

            def again(rows: Tensor, own: torch.Generator, y: Tensor = y, t: Tensor = t) -> Cloud:
                return temper(prior, amplitudes, prior.draw_screened(_POOL * particles, own), y[rows], t[rows], particles, own, bar)

            if particles >= _REACH:
                _go_on(cloud, later, again, until, generator, bar)
            bar.update(len(y))
            theta = amplitudes.join(cloud.state.eta, cloud.state.rest, generator)[:, None]
            done.append((theta, cloud.acceptance, cloud.log_evidence, cloud.origin))
    theta, acceptance, log_evidence, origin = (torch.cat(part).cpu() for part in zip(*done, strict=True))
    admissible = torch.ones(theta.shape[:3], dtype=torch.bool)
    return Draws(theta, admissible, acceptance, log_evidence=log_evidence, origin=origin)


def _least_ess(amplitudes: Amplitudes, state: Particles, origin: Int[Tensor, "B N"], watched: Float[Tensor, "B W"]) -> Float[Tensor, "B"]:
    """The smallest effective sample size of each curve's predictions, bulk or tail, as the gate sees it."""
    curve = (state.eta[..., None, :] @ amplitudes.design(state.rest, watched[:, None])).squeeze(-2)
    seen = torch.cat([curve, amplitudes.sigma(state.rest)[..., None]], -1)
    each = (lineage_ess(x, families) for x, families in zip(seen.cpu(), origin.cpu(), strict=True))
    return torch.tensor([min(bulk.min(), tail.min()) for bulk, tail in each], device=seen.device)


def _go_on(
    cloud: Cloud, watched: Float[Tensor, "B W"], again: Callable[..., Cloud], until: float, generator: torch.Generator, bar: tqdm
) -> None:
    """Goes on from where the particles stand until each curve's ESS is ``_AIM`` or the time is up.

    Sweeps first; what these do not bring about, since ancestors are few or modes far apart, particles tempered ``again`` do.
    """
    ess = _least_ess(cloud.target.amplitudes, cloud.state, cloud.origin, watched)
    rows = ((ess < _AIM) & ~cloud.log_evidence.isnan()).nonzero().squeeze(-1)
    if not len(rows):
        return
    # A stream of its own, lest the curves that follow depend on the time spent on these.
    seed = int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
    own, joined = torch.Generator(generator.device).manual_seed(seed), 1
    while len(rows) and time.monotonic() < until:
        if len(many := rows[[len(cloud.origin[row].unique()) >= FAMILIES for row in rows.tolist()]]):
            _sweep_on(cloud, many, watched, ess, until, own, bar)
        rows = rows[ess[rows] < _AIM]
        if len(rows) and time.monotonic() < until:
            _join(cloud, rows, joined, again(rows, own), own)
            ess[rows] = _least_ess(cloud.target.amplitudes, cloud.state.rows(rows), cloud.origin[rows], watched[rows])
            rows, joined = rows[ess[rows] < _AIM], joined + 1


def _sweep_on(cloud: Cloud, rows: Tensor, watched: Tensor, ess: Tensor, until: float, generator: torch.Generator, bar: tqdm) -> None:
    """Sweeps of some curves, ``_PATIENCE`` at most; leaves their ESS in ``ess``."""
    sweeps = 0
    while len(rows) and sweeps < _PATIENCE and time.monotonic() < until:
        target, state, length = cloud.target.rows(rows), cloud.state.rows(rows), cloud.length[rows]
        heat, accepted = torch.ones_like(length), length
        for _ in range(max(_AGAIN[0], round(_AGAIN[1] * sweeps))):
            state, length, accepted = sweep(target, state, heat, length, generator)
            sweeps += 1
            if time.monotonic() >= until:
                break
        cloud.state = cloud.state.replaced(rows, state)
        cloud.length[rows], cloud.acceptance[rows] = length, accepted
        ess[rows] = _least_ess(target.amplitudes, state, cloud.origin[rows], watched[rows])
        bar.set_postfix(sweeps=sweeps, ess=f"{ess.min().item():.0f} of {_AIM:.0f}")
        rows = rows[ess[rows] < _AIM]


def _join(cloud: Cloud, rows: Tensor, joined: int, other: Cloud, generator: torch.Generator) -> None:
    """Joins the particles of another tempering to those of ``joined`` before, each in proportion to the evidence."""
    mine, heat = cloud.state.rows(rows), torch.ones_like(cloud.length[rows])
    n = mine.rest.shape[1]
    log_mass = torch.stack([cloud.log_evidence[rows] + math.log(joined), other.log_evidence.nan_to_num(nan=-math.inf)], 1)
    cloud.log_evidence[rows] = torch.logsumexp(log_mass, 1) - math.log(joined + 1)
    chosen = resample(log_mass.repeat_interleave(n, 1), n, generator)
    # Ancestors are told apart by number, whichever prior draws they were among.
    origin = torch.cat([cloud.origin[rows], other.origin + 1 + cloud.origin.max()], 1)
    cloud.origin = cloud.origin.index_copy(0, rows, origin.gather(1, chosen))
    pairs = ((mine.rest, other.state.rest), (mine.eta, other.state.eta))
    rest, eta = (torch.cat(pair, 1).take_along_dim(chosen[..., None], 1) for pair in pairs)
    cloud.state = cloud.state.replaced(rows, cloud.target.rows(rows).particles(rest, heat, eta, noisy=False))
