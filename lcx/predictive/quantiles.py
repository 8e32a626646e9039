"""Quantiles of many mixtures at many levels by one search, each solved from the tail that is nearer.

The components' own quantiles start it. Quantiles are nearly linear in the normal score of F, and Halley's step there converges with
the third power of the error: three steps without any check settle most. The rest is refined step by step inside a bracket.
Shape letters: Q levels, N points, K components, R (level, point) pairs.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.special import ndtri

from lcx.predictive.tails import Cut, Seen, look, reach, whole

_STEPS = 3  # before the first check
_MOST = 200  # steps at most; bisections alone would take 60
_ROOT = math.sqrt(0.5)


class Normals(NamedTuple):
    """Mixtures of normals without bounds, or their mirror images, for :func:`refine` one a row."""

    mean: Float[Tensor, "*rows K"]
    rate: Float[Tensor, "*rows K"]  # 1 / (scale sqrt(2))
    half: Float[Tensor, "*rows K"]  # half the weight
    height: Float[Tensor, "*rows K"]  # of the density, times sqrt(2 pi)

    rounding = 8  # eps of a mass that its computation may be off

    def look(self, u: Float[Tensor, "*rows"]) -> Seen:
        """The law at u."""
        x = (self.mean - u.unsqueeze(-1)).mul_(self.rate)
        mass = torch.linalg.vecdot(torch.erfc(x), self.half)
        bend = x * self.rate
        density = x.square_().neg_().exp_().mul_(self.height)
        return Seen(mass, density.sum(-1), 2 * torch.linalg.vecdot(density, bend))

    def is_smooth(self, u: Float[Tensor, "R"], step: Float[Tensor, "R"]) -> Bool[Tensor, "R"]:
        """Whether all that the step changes is seen from u: no component that it comes near moves by much of its scale."""
        return _is_smooth(self.mean, self.rate, u, step)

    def take(self, row: Int[Tensor, "left"]) -> "Normals":
        """Those of some rows."""
        return Normals(*(x[row] for x in self))

    def jump(self, u: Float[Tensor, "R"], excess: Float[Tensor, "R"], seen: Seen) -> Float[Tensor, "R"]:
        """Where one component alone makes up for the excess, the others staying as they are at u: of these, the densest there."""
        tiny, eps = torch.finfo(u.dtype).tiny, torch.finfo(u.dtype).eps
        own = 0.5 * (torch.erfc((self.mean - u[:, None]) * self.rate) - excess[:, None] / self.half)
        score = ndtri(own.clamp(tiny, 1 - eps))
        density = (self.height * torch.exp(-0.5 * score * score)).masked_fill((own <= 0) | (own >= 1), 0)
        density, k = density.max(-1, keepdim=True)
        there = self.mean.gather(-1, k) + _ROOT * score.gather(-1, k) / self.rate.gather(-1, k)
        return there.masked_fill(density <= 0, torch.nan).squeeze(-1)


class Cuts(NamedTuple):
    """Mixtures of which the bounds leave little."""

    cut: Cut
    size: Float[Tensor, "R"]  # as `whole` gives it

    rounding = 1 << 10

    def look(self, u: Float[Tensor, "R"]) -> Seen:
        """The laws at u."""
        return look(self.cut, self.size, u)

    def is_smooth(self, u: Float[Tensor, "R"], step: Float[Tensor, "R"]) -> Bool[Tensor, "R"]:
        """As of :class:`Normals`."""
        return _is_smooth(self.cut.loc, _ROOT / self.cut.scale, u, step)

    def jump(self, u: Float[Tensor, "R"], excess: Float[Tensor, "R"], seen: Seen) -> Float[Tensor, "R"]:
        """Newton's step: near a bound F is linear."""
        return u - excess / seen.density * math.sqrt(2 * math.pi)

    def take(self, row: Int[Tensor, "left"]) -> "Cuts":
        """Those of some rows."""
        return Cuts(Cut(*(x[row] for x in self.cut)), self.size[row])


@torch.no_grad()
def search(
    weight: Float[Tensor, "N K"],
    loc: Float[Tensor, "N K"],
    scale: Float[Tensor, "N K"],
    mass: Float[Tensor, "Q N"],
    sign: Float[Tensor, "Q #N"],
) -> Float[Tensor, "Q N"]:
    """The u with P(U <= u) = mass, or P(U >= u) = mass where the sign is -1: relatively exact in both tails without bounds.

    Args:
        weight: summing to 1.
        loc: component means.
        scale: component standard deviations, > 0.
        mass: within (0, 1).
        sign: 1 or -1.
    """
    score, rate = ndtri(mass), _ROOT / scale
    law = Normals(sign[..., None] * loc, rate, 0.5 * weight, 2 * _ROOT * weight * rate)
    own = (score[..., None] * scale).add_(law.mean)
    low, high = own.amin(-1), own.amax(-1)
    # Own quantiles count as between weight, which suits components far apart, and density, which suits those in one heap.
    pull = weight * rate.sqrt()
    u = torch.linalg.vecdot(own, pull / pull.sum(-1, keepdim=True))
    step = rest = u
    for _ in range(_STEPS):
        step, rest = _halley(law.look(u), score)
        u = torch.clamp(u + step, low, high)
    # A component unseen from where the last step began changes the mass by less than this third-order term.
    unseen = 0.3 * torch.linalg.vecdot(weight, rate**3) * step.abs() ** 3
    tolerance = torch.finfo(u.dtype).eps ** 0.75
    rough = ~((unseen <= tolerance * mass) & (rest <= tolerance))
    if rough.any():
        row = rough.reshape(-1).nonzero().squeeze(-1)
        point = row % len(loc)
        law = Normals(law.mean.reshape(-1, loc.shape[-1])[row], *(x[point] for x in law[1:]))
        found = refine(law, *(x.reshape(-1)[row] for x in (u, low, high, mass)))
        u = u.reshape(-1).index_copy(0, row, found).reshape(u.shape)
    return sign * u


def between(cut: Cut, mass: Float[Tensor, "R"]) -> Float[Tensor, "R"]:
    """The u with P(U <= u) = mass of laws of which the bounds leave little."""
    low, high = reach(cut)
    return refine(Cuts(cut, whole(cut)), low + 0.5 * (high - low), low, high, mass)


@torch.no_grad()
def refine(
    law: Normals | Cuts, u: Float[Tensor, "R"], low: Float[Tensor, "R"], high: Float[Tensor, "R"], mass: Float[Tensor, "R"]
) -> Float[Tensor, "R"]:
    """The u with P(U <= u) = mass, from a start in a bracket.

    A Halley step that leaves the bracket, or is not half the last but one (as in rtsafe, Numerical Recipes 9.4), gives way to a jump, and
    that on the same terms to bisection.
    """
    eps, found, row = torch.finfo(u.dtype).eps, u.clone(), torch.arange(len(u), device=u.device)
    u, score = torch.where(u.isnan(), low + 0.5 * (high - low), u), ndtri(mass)
    before = last = torch.full_like(u, math.inf)
    for _ in range(_MOST):
        seen = law.look(u)
        excess = seen.mass - mass
        low, high = torch.where(excess < 0, u, low), torch.where(excess > 0, u, high)
        step, rest = _halley(seen, score)
        new = u + step
        good = (new >= low) & (new <= high) & (step.abs() < 0.5 * before)
        least = 2 * eps * u.abs()
        same = (excess.abs() <= law.rounding * eps * mass) | ((step.abs() <= least) & (rest < 1)) | (high - low <= least)
        done = same | excess.isnan() | (good & (rest < eps**0.75) & law.is_smooth(u, step))
        if not (good | done).all():
            far = law.jump(u, excess, seen)
            fits = (far > low) & (far < high) & ((far - u).abs() < 0.5 * before)
            new = torch.where(good, new, torch.where(fits, far, low + 0.5 * (high - low)))
        new = torch.where(same, u, new)
        before, last = last, (new - u).abs()
        found[row] = new
        left = (~done).nonzero().squeeze(-1)
        if not len(left):
            break
        row, u, low, high, mass, score, before, last = (x[left] for x in (row, new, low, high, mass, score, before, last))
        law = law.take(left)
    return found


def _halley(seen: Seen, score: Float[Tensor, "*rows"]) -> tuple[Float[Tensor, "*rows"], Float[Tensor, "*rows"]]:
    """Halley's step in u towards the score sought, and about the error of score that it leaves; NaN or infinite where F is 0 or 1."""
    now = ndtri(seen.mass)
    change = score - now
    pace = torch.exp(-0.5 * now * now).div_(seen.density)  # of u by score
    bend = (seen.slope / seen.density).mul_(pace).add_(now).mul_(change)
    rest = (bend * bend).addcmul_(change, change).mul_(change)
    return change.mul_(pace).div_(bend.mul_(0.5).add_(1).clamp_(min=0.5)), rest.abs_()


def _is_smooth(loc: Tensor, rate: Tensor, u: Tensor, step: Tensor) -> Tensor:
    moved, away = step.abs()[:, None] * rate, ((loc - u[:, None]) * rate).abs()
    return ~((moved > torch.finfo(u.dtype).eps ** 0.25) & (away - moved < 6)).any(-1)
