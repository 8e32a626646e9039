"""Particles from prior draws to the posterior, by temperatures that rise as fast as half of the particles allow.

Source: Del Moral, Doucet, Jasra, "Sequential Monte Carlo samplers", JRSS B 68 (2006), with adaptive temperatures (Jasra et al.,
Scand. J. Statist. 38, 2011, Section 3).
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from lcx.priors.parametric import Prior
from lcx.reference.amplitudes import Amplitudes
from lcx.reference.draws import check_density
from lcx.reference.moves import Moved, sweep
from lcx.reference.target import Particles, Target

_KEPT = 0.5  # effective share of the particles that each later rise of the temperature leaves
_MOST_STAGES = 200
_SWEEPS = (4, 60)  # least and most per stage; between them, until the curves have forgotten where the stage began
_FORGOTTEN = 0.5  # largest correlation of the particles' curves, at ``target.WATCHED``, with those at the stage's begin
Pool = tuple[Tensor, Tensor]  # latents and parameters of :meth:`Prior.draw_screened`
CHUNK = {"cuda": 1 << 20}  # particles moved at once; elsewhere 1 << 13, what a CPU holds in its cache


@dataclass
class Cloud:
    """Particles of B curves and what is known of them, at the temperature 1 unless log evidence is NaN."""

    target: Target
    state: Particles
    length: Float[Tensor, "B"]
    acceptance: Float[Tensor, "B"]
    log_evidence: Float[Tensor, "B"]
    origin: Int[Tensor, "B N"]


def temper(
    prior: Prior, amplitudes: Amplitudes, pool: Pool, values: Tensor, steps: Tensor, n: int, generator: torch.Generator, bar: tqdm
) -> Cloud:
    """Cloud of ``n`` particles at the posterior of each curve, the first of them out of ``pool``."""
    device, (z, theta) = values.device, pool
    target = Target.of(amplitudes, values, steps, amplitudes.split(z[: 1 << 14].double())[0])
    pieces = theta.split(CHUNK.get(device.type, 1 << 13))
    log_likelihood = torch.stack(
        [
            torch.cat([prior.log_likelihood(piece, y, t) for piece in pieces]).double()
            for y, t in zip(values.float(), steps.float(), strict=True)
        ]
    )
    check_density(prior, log_likelihood, values)
    heat, log_evidence, length, acceptance = torch.tensor([[0.0], [0.0], [1.0], [1.0]], device=device).double().repeat(1, len(values))
    state: Any = None
    origin, effective = torch.arange(len(z), device=device).expand(len(values), -1), n
    for _ in range(_MOST_STAGES):
        rows = (heat < 1).nonzero().squeeze(-1)
        if not len(rows):
            break
        rise = _rise(log_likelihood[rows], 1 - heat[rows], effective)
        chosen = resample(rise[:, None] * log_likelihood[rows], n, generator)
        while state is None and len(bad := _inadmissible(prior, theta, chosen)):
            log_likelihood[:, bad] = -math.inf
            chosen = resample(rise[:, None] * log_likelihood, n, generator)
        log_weight = rise[:, None] * log_likelihood[rows]
        log_evidence[rows] += torch.logsumexp(log_weight, 1) - math.log(log_weight.shape[1])
        heat[rows] = torch.where(rise == 1 - heat[rows], 1.0, heat[rows] + rise)
        origin = origin[:, :n].index_copy(0, rows, origin[rows].gather(1, chosen))
        if state is None:
            eta, rest = amplitudes.split(z[chosen].double())
        else:
            eta, rest = (x[rows].gather(1, chosen[..., None].expand(-1, -1, x.shape[-1])) for x in (state.eta, state.rest))
        begun = target.rows(rows).particles(rest, heat[rows], eta, noisy=False)
        moved, length[rows], acceptance[rows] = _stage(target.rows(rows), begun, heat[rows], length[rows], generator)
        state = moved if state is None else state.replaced(rows, moved)
        log_likelihood, effective = state.log_likelihood, _KEPT * n
        bar.set_postfix(temperature=f"{heat.min().item():.2g}")
    return Cloud(target, state, length, acceptance, log_evidence.where(heat == 1, math.nan), origin)


def _inadmissible(prior: Prior, theta: Float[Tensor, "M dim"], chosen: Int[Tensor, "B N"]) -> Int[Tensor, "K"]:
    """Which of the chosen of a pool are not admissible: the pool was screened, and the test is for those of weight alone."""
    some = chosen.unique()
    return some[~prior.admissible(theta[some])]


def _stage(target: Target, state: Particles, heat: Tensor, length: Tensor, generator: torch.Generator) -> Moved:
    """Sweeps at one temperature, until the curves have forgotten where they began."""
    begun, (least, most), accepted = state.watched, _SWEEPS, length
    for turn in range(1, most + 1):
        state, length, accepted = sweep(target, state, heat, length, generator)
        if turn >= least and _correlation(begun, state.watched).max() < _FORGOTTEN:
            break
    return state, length, accepted


def _rise(log_likelihood: Float[Tensor, "B N"], room: Float[Tensor, "B"], effective: float) -> Float[Tensor, "B"]:
    """The largest rise of the temperature, up to ``room``, that leaves an ``effective`` number of particles."""
    below = log_likelihood - log_likelihood.amax(1, keepdim=True)

    def kept(rise: Tensor) -> Tensor:
        weight = torch.exp(rise[:, None] * below)
        return weight.sum(1) ** 2 / torch.linalg.vecdot(weight, weight)

    low, high = torch.zeros_like(room), room
    for _ in range(60):
        middle = 0.5 * (low + high)
        enough = kept(middle) >= effective
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
        if (high - low <= 1e-6 * high).all():
            break
    return torch.where(kept(room) >= effective, room, low)


def resample(log_weight: Float[Tensor, "B M"], n: int, generator: torch.Generator) -> Int[Tensor, "B {n}"]:
    """Systematic resampling (Carpenter, Clifford, Fearnhead 1999), in random order lest neighbours share an ancestor."""
    b, like = len(log_weight), {"generator": generator, "dtype": log_weight.dtype, "device": log_weight.device}
    ladder = torch.softmax(log_weight, 1).cumsum(1)
    at = (torch.arange(n, device=log_weight.device) + torch.rand(b, 1, **like)) / n
    chosen = torch.searchsorted(ladder, at).clamp(max=ladder.shape[1] - 1)
    return chosen.gather(1, torch.rand(b, n, **like).argsort(1))


def _correlation(x: Float[Tensor, "B N W"], y: Float[Tensor, "B N W"]) -> Float[Tensor, "B W"]:
    x, y = (v - v.mean(1, keepdim=True) for v in (x, y))
    return (x * y).sum(1) / ((x * x).sum(1) * (y * y).sum(1)).sqrt().clamp(min=1e-300)
