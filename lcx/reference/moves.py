"""Moves that leave the tempered posterior as it is, one per particle.

Source: ours: differential evolution (ter Braak, Stat. Comput. 16, 2006) on the parameters in which the mean curve is not linear, together
with autoregressive draws of the amplitudes from their Gaussian conditional (Neal 1999).
"""

from functools import cache

import torch
from jaxtyping import Bool, Float
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
    (b, n, p), q = state.rest.shape, state.noise.shape[-1]
    # All random numbers in two calls; for normal ones single precision will do, and takes a fifth of the time.
    like = {"generator": generator, "device": length.device}
    uniform = torch.rand(b, n, p + q + 7, dtype=length.dtype, **like)
    normal = torch.randn(b, n, q + 1, **like).to(length)
    part, (kind, subset, first, gap, whole, fresh, level) = uniform[..., : p + q], uniform[..., p + q :].unbind(-1)
    along, stay = kind < _ALONG, kind > 1 - _STAY  # noise moves along too; rest stays
    row = len(_SUBSETS) * (1 - along.long() + stay.long()) + (len(_SUBSETS) * subset).long()
    moving = part < _chances(p, q).to(part)[row]
    factor = length[:, None] * torch.exp(_SPREAD * normal[..., 0]) * 2.38 / (2 * moving.sum(-1).clamp(min=1)).sqrt()
    shift = torch.where(moving, factor[..., None] * _difference(others, first, gap), 0.0)
    fresh = torch.where(whole < 0.4, 1.0, fresh)[..., None]
    renewed = (1 - fresh**2).sqrt() * state.noise + fresh * normal[..., 1:]
    noise = torch.where(along[..., None], state.noise + shift[..., p:], renewed)
    # Renewing the noise leaves N(0, I) invariant, to which the score is relative; moving it along a difference does not.
    density = torch.where(along, 0.5 * ((state.noise**2).sum(-1) - (noise**2).sum(-1)), 0.0)
    least = torch.log(level) + state.score - density
    new = target.particles(state.rest + shift[..., :p], heat, noise, noisy=True, least=least)
    accept: Bool[Tensor, "B N"] = new.score > least
    share = (accept & ~stay).sum(1).to(length) / (~stay).sum(1).clamp(min=1)
    state = new.map(lambda x, y: torch.where(accept.reshape(b, n, *[1] * (x.dim() - 2)), x, y), state)
    return state, share, (length * torch.exp(share - _ACCEPTED)).clamp(1e-3, 3)


def _difference(others: Particles, first: Float[Tensor, "B N"], gap: Float[Tensor, "B N"]) -> Float[Tensor, "B N r"]:
    """(rest, noise) of one of the others less that of another, both picked by uniform numbers."""
    joined = torch.cat([others.rest, others.noise], -1)
    m = joined.shape[1]
    one = (first * m).long()
    other = one + 1 + (gap * (m - 1)).long()
    other = torch.where(other < m, other, other - m)
    return torch.sub(*(joined.gather(1, i[..., None].expand(*i.shape, joined.shape[-1])) for i in (one, other)))


@cache
def _chances(p: int, q: int) -> Float[Tensor, "choices r"]:
    """The chance of each coordinate to move: rows are the subsets, three times, for moves along, of ``rest``, and of neither."""
    kinds = torch.tensor([[1.0] * (p + q), [1.0] * p + [0.0] * q, [0.0] * (p + q)])
    return (kinds[:, None] * torch.tensor(_SUBSETS)[:, None]).flatten(0, 1)
