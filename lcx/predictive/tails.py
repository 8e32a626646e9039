"""Mixtures of which the bounds leave little, or of which closed forms lose their digits: sums of positive terms alone.

Each component's density is integrated over its part of the bounds by a Gauss-Legendre rule, so that nothing is subtracted: masses, means
and variances are relatively exact however far out or however narrow that part is. It costs 44 times a closed form, and few laws need it.
Shape letters: R points, K components.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

NODES = 44  # a whole normal, of which 8.9 standard deviations to either side count, is exact to 1e-14; fewer nodes lose digits
_RULE = np.polynomial.legendre.leggauss(NODES)  # takes as long as all the rest of a small law
_DEPTH = 80.0  # z² - z0² beyond which the density is 4e-18 of its largest value, at z0, within the bounds


class Cut(NamedTuple):
    """sum_k w_k Normal(loc_k, scale_k²) given low <= U <= high."""

    log_weight: Float[Tensor, "R K"]
    loc: Float[Tensor, "R K"]
    scale: Float[Tensor, "R K"]
    low: Float[Tensor, "R"]  # infinite for none
    high: Float[Tensor, "R"]

    def mirrored(self, where: Bool[Tensor, "R"]) -> "Cut":
        """The law of -U where told."""
        loc = torch.where(where[:, None], -self.loc, self.loc)
        low, high = torch.where(where, -self.high, self.low), torch.where(where, -self.low, self.high)
        return Cut(self.log_weight, loc, self.scale, low, high)


class Seen(NamedTuple):
    """A law of U at some u, as far as a search for its quantiles needs it."""

    mass: Float[Tensor, "R"]  # P(U <= u)
    density: Float[Tensor, "R"]  # times sqrt(2 pi)
    slope: Float[Tensor, "R"]  # of that


class _Pieces(NamedTuple):
    """Nodes of every component's part: sqrt(2 pi) exp(-peak) times its density is integrated by ``mass``."""

    mass: Float[Tensor, "R K 44"]
    near: Float[Tensor, "R K"]  # the point of the part where the component's density is largest
    offset: Float[Tensor, "R K 44"]  # of the nodes from there
    peak: Float[Tensor, "R"]


def log_mass(cut: Cut) -> Float[Tensor, "R"]:
    """Log of the mass within the bounds."""
    pieces = _pieces(cut)
    return torch.log(pieces.mass.sum((-2, -1))) + pieces.peak - 0.5 * math.log(2 * math.pi)


def share(cut: Cut, end: Float[Tensor, "R"]) -> Float[Tensor, "R"]:
    """P(U <= end)."""
    return look(cut, whole(cut), end).mass


def look(cut: Cut, size: Float[Tensor, "R"], u: Float[Tensor, "R"]) -> Seen:
    """The law at u, ``size`` what :func:`whole` gives."""
    part = _pieces(cut._replace(high=torch.minimum(torch.maximum(u, cut.low), cut.high)))
    mass = (part.mass.sum((-2, -1)) * torch.exp(part.peak - size)).clamp(max=1)
    z = (u[:, None] - cut.loc) / cut.scale
    density = torch.exp(cut.log_weight - 0.5 * z * z - size[:, None]) / cut.scale * math.sqrt(2 * math.pi)
    return Seen(mass.masked_fill(u <= cut.low, 0), density.sum(-1), -(density * z / cut.scale).sum(-1))


def whole(cut: Cut) -> Float[Tensor, "R"]:
    """What :func:`look` needs to know of a law beforehand."""
    pieces = _pieces(cut)
    return torch.log(pieces.mass.sum((-2, -1))) + pieces.peak


def reach(cut: Cut) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"]]:
    """The ends of what the bounds leave of the components, but for 1e-17 of each."""
    _, near, left, right = _ends(cut)
    return (near + cut.scale * left).amin(-1), (near + cut.scale * right).amax(-1)


def moments(cut: Cut) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"]]:
    """Mean and variance of U."""
    mass, near, offset, _ = _pieces(cut)
    mass, offset = mass / mass.sum((-2, -1), keepdim=True), offset * cut.scale[..., None]
    pivot = (mass.sum(-1) * near).sum(-1)
    place = (near - pivot[:, None])[..., None] + offset
    shift = (mass * place).sum((-2, -1))
    return pivot + shift, (mass * (place - shift[:, None, None]).square()).sum((-2, -1))


def _ends(cut: Cut) -> tuple[Tensor, ...]:
    """z of the point of each component's part where its density is largest, that point, and the ends of the part from there in z."""
    low, high = cut.low[:, None], cut.high[:, None]
    near = torch.minimum(torch.maximum(cut.loc, low), high)
    z0 = (near - cut.loc) / cut.scale
    far = _DEPTH / (torch.sqrt(z0 * z0 + _DEPTH) + z0.abs())
    return z0, near, torch.maximum((low - near) / cut.scale, -far), torch.minimum((high - near) / cut.scale, far)


def _pieces(cut: Cut) -> _Pieces:
    nodes, weights = (torch.from_numpy(x).to(cut.loc) for x in _RULE)
    z0, near, left, right = _ends(cut)
    half = 0.5 * (right - left)[..., None]
    offset = 0.5 * (right + left)[..., None] + half * nodes
    log_top = cut.log_weight - 0.5 * z0 * z0
    peak = log_top.amax(-1)
    fall = offset * (0.5 * offset + z0[..., None])
    return _Pieces(half * weights * torch.exp((log_top - peak[:, None])[..., None] - fall), near, offset, peak)
