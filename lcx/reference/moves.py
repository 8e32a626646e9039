"""Moves that leave the tempered posterior as it is, one per particle.

Source: ours: differential evolution (ter Braak, Stat. Comput. 16, 2006) on the parameters in which the mean curve is not linear, together
with autoregressive draws of the amplitudes from their Gaussian conditional (Neal 1999).
"""

import torch
from jaxtyping import Bool
from torch import Tensor

from lcx.reference.target import Particles, Target

_SUBSETS = (0.3, 0.6, 1.0)  # chances of a coordinate to take part in a move, as in DREAM (Vrugt et al. 2009)
_SPREAD = 0.7  # sd of the logarithm of a move's length
_ACCEPTED = 0.2  # acceptance the length is adapted to
_ALONG = 0.6  # chance of a move of the amplitudes along a difference too
_STAY = 0.15  # chance of a move of the amplitudes alone

Moved = tuple[Particles, Tensor, Tensor]  # with the lengths of moves, adapted, and the share accepted, per curve


def sweep(target: Target, state: Particles, heat: Tensor, length: Tensor, generator: torch.Generator) -> Moved:
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
