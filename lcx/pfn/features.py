"""The features of a token. Each is a statistic of the points up to that token alone, so one encoding serves every cut-off.

There are two charts. The parametric model reads model units as they are. The general model reads nothing but ratios: the features of a
token are in units of what was seen up to it, so y -> a y + b (a > 0), with the bounds mapped alike, changes no feature.

Shape letters: B curves, L tokens, P pairs, F features, H heads.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from lcx.pfn.kept import kept

PARAMETRIC_TOKEN, PARAMETRIC_QUERY = 7, 6
GENERAL_TOKEN, GENERAL_QUERY = 27, 7
_FAST, _SLOW = 0.7, 0.92  # memory of the running means, per token; first guesses, no others were tried
_SMALLEST_UNIT = 1e-3  # of the long memory's: what a run of repeated values leaves
# Distances in units, and ratios of units, count as these at most: the prior has next to nothing beyond them, and of a loss that began at
# 16,000 and went on at 2 the network made a chance of some per cent of going back.
_FAR, _MANY = 1e4, 1e2


class Frame(NamedTuple):
    """What is known of each curve beside its points, in the chart of its values; larger is better.

    Attributes:
        lower, upper: (B,) known bounds; infinite where there is none.
        fallback: (B,) the scale to assume while all values are equal, > 0.
    """

    lower: Float[Tensor, "B"]
    upper: Float[Tensor, "B"]
    fallback: Float[Tensor, "B"]


class _Before:
    """The last seen token before each token.

    Attributes:
        at: (B, L) its index; 0 where there is none.
        exists: (B, L) whether there is one.
    """

    def __init__(self, seen: Bool[Tensor, "B L"]) -> None:
        index = torch.arange(seen.shape[1], device=seen.device).where(seen, -1).cummax(1).values
        before = functional.pad(index[:, :-1], (1, 0), value=-1)
        self.at, self.exists = before.clamp(min=0), before >= 0

    def of(self, x: Tensor) -> Tensor:
        """What stands there."""
        return x.gather(1, self.at)


def parametric_tokens(values: Float[Tensor, "B L"], steps: Float[Tensor, "B L"], seen: Bool[Tensor, "B L"]) -> Float[Tensor, "B L F"]:
    """Value, step and the change since the point before, the latter at the resolutions of large, usual and tiny noise."""
    before = _Before(seen)
    change = torch.where(before.exists, values - before.of(values), 0.0)
    gap = torch.where(before.exists, steps - before.of(steps), 1.0)
    features = [
        2 * values - 1,
        steps / 50 - 1,
        torch.log(steps) / 2.3 - 1,
        torch.log(gap.clamp(min=1e-3)),
        torch.asinh(change / 0.1),
        torch.asinh(change / 0.01),
        0.3 * torch.asinh(change / 0.001),
    ]
    return torch.stack(features, dim=-1)


def parametric_query(query: Float[Tensor, "B P"], step: Float[Tensor, "B #P"]) -> Float[Tensor, "B P F"]:
    """Query step, alone and relative to the last observed one, linear and logarithmic; 1 / log(t + 1) is a family of the prior."""
    gap = query - step
    features = [query / 50 - 1, torch.log(query) / 2.3 - 1, gap / 50 - 1, torch.log(query / step), torch.log1p(gap) / 2 - 1]
    return torch.stack([*features, 1 / torch.log(query + 1)], dim=-1)


class _General(NamedTuple):
    """Constants of :func:`general_tokens`, each for a stack of numbers: of those that go through asinh, and through log."""

    decay: Tensor  # log of 1 / memory per token, of the running sums
    stretch: Tensor  # before asinh
    least: Tensor
    most: Tensor
    shrink: Tensor  # after it
    log_least: Tensor
    log_most: Tensor
    log_gain: Tensor
    log_shift: Tensor
    order: Tensor  # from the stacks to the features


@kept
def _constants(dtype: torch.dtype, device: torch.device) -> _General:
    inf, decay = math.inf, [-math.log(_FAST)] * 3 + [-math.log(_SLOW)] * 6

    def column(*numbers: float, kind: torch.dtype = dtype) -> Tensor:
        return torch.tensor(numbers, dtype=kind, device=device)[:, None, None]

    return _General(
        column(*decay, kind=torch.float64),
        column(1, 30, 1, 1, 1, 10, 10, 10, 1, 1),
        column(-inf, -inf, -_FAR, -_FAR, -_FAR, -inf, -inf, -inf, 0, 0),
        column(inf, inf, _FAR, _FAR, _FAR, inf, inf, inf, 1e12, 1e12),
        column(1, 1 / 4, 1 / 2, 1 / 2, 1 / 2, 1, 1, 1, 1 / 5, 1 / 5),
        column(1e-5, 0, 0, 0, 0, 0, 1e-6, 1e-3, 1 / _MANY, 0),
        column(inf, inf, inf, inf, _FAR, _MANY, _MANY, _MANY, _MANY, inf),
        column(1 / 3, 1 / 3, 1 / 2, 1, 1 / 3, 1 / 2, 1, 1, 1, 1),
        column(1 - math.log(100) / 3, 1 - math.log(100) / 3, -1, 0, -1, 0, 0, 0, 0, 0),
        torch.tensor(_ORDER, device=device),
    )


# Where each feature stands in the stacks: ten asinh, ten log, seven others.
_ORDER = [20, 10, 11, 13, 12, 0, 1, 5, 21, 2, 3, 4, 6, 7, 14, 15, 16, 17, 18, 19, 22, 23, 24, 25, 26, 8, 9]


def general_tokens(
    values: Float[Tensor, "B L"], steps: Float[Tensor, "B L"], seen: Bool[Tensor, "B L"], frame: Frame
) -> tuple[Float[Tensor, "B L F"], Float[Tensor, "B L"], Float[Tensor, "B L"]]:
    """Features of each token, the unit of change at it (chart units, > 0) and the spacing of steps before it.

    The unit is a running power mean of the size of recent changes, so it follows a curve from its first drop to its plateau. What takes
    the same function is stacked and put through it at once, for one curve's numbers cost less than the calls.
    """
    kind, given, before = values.dtype, _constants(values.dtype, values.device), _Before(seen)
    gap = torch.where(before.exists, steps - before.of(steps), steps).clamp(min=1e-6)
    count, moved = seen.cumsum(1), before.exists & seen
    change = (values - before.of(values)).masked_fill(~moved, 0.0)
    top, bottom, since = _extremes(values, seen, count)
    flat, fallback, first = top <= bottom, frame.fallback[:, None], values.gather(1, seen.int().argmax(1, keepdim=True))
    width = torch.where(flat, fallback, top - bottom)
    (lively, long, bend), (size, fast, slow, still) = _running(change, change - before.of(change), moved, count, given.decay)
    unit = torch.maximum(lively, _SMALLEST_UNIT * long).clamp(min=1e-30)
    unit = torch.where(flat, fallback, torch.maximum(unit, 1e-20 * width))
    size = torch.where(flat, fallback, torch.maximum(size, unit * 1e-3))
    # The fallback may stand in while values are equal, but no later token may learn what it was.
    known = before.exists & ~before.of(flat)
    unit_before, width_before = (torch.where(known, before.of(x), x) for x in (unit, width))
    up, down, rise, number = top - values, values - bottom, values - first, count.clamp(min=1).to(kind)
    room = torch.stack([frame.upper[:, None] - values, values - frame.lower[:, None]])
    by_unit, by_width = torch.stack([change, change, up, down, rise]) / unit, torch.stack([change, up, rise]) / width
    far = torch.cat([by_unit, by_width, (room / unit).nan_to_num(posinf=0.0)])
    far = torch.asinh((far * given.stretch).clamp(given.least, given.most)) * given.shrink
    far[-2:].masked_fill_(room.isinf(), -1.0)  # no bound is known
    below = torch.stack([steps, unit, unit, unit, unit, unit_before, width_before])
    ratios = torch.stack([gap, width, size, long, bend, unit, width]) / below
    logs = torch.cat([torch.stack([steps, gap, number]), ratios])
    logs = torch.log(logs.clamp(given.log_least, given.log_most)) * given.log_gain + given.log_shift
    plain = [steps / 50 - 1, 2 * down / width - 1, 2 * fast / unit, 2 * slow / size, still, (number - since.clamp(max=number)) / number]
    features = torch.cat([far, logs, torch.stack([*plain, flat.to(kind)])])
    return features.index_select(0, given.order).clamp(-12, 12).movedim(0, -1), unit, gap


def _extremes(values: Tensor, seen: Tensor, count: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Highest and lowest value up to each token, and the number of tokens up to the latest highest one, all (B, L)."""
    high = values.masked_fill(~seen, -torch.inf).cummax(1)
    low = values.masked_fill(~seen, torch.inf).cummin(1)
    top, bottom = (torch.where(count > 0, x.values, values) for x in (high, low))
    return top, bottom, count.gather(1, high.indices).where(seen, 1).to(values.dtype)


def _running(change: Tensor, bend: Tensor, moved: Tensor, count: Tensor, decay: Tensor) -> tuple[Tensor, Tensor]:
    """Means over a prefix that forget, a token at a time; only tokens that ``moved``, having one before, count.

    Args:
        change: (B, L) from the token before.
        bend: (B, L) by how much it differs from the change before it.
        moved: (B, L) whether there is a token before.
        count: (B, L) tokens so far.
        decay: log of 1 / memory, of three sums with short and six with long memory.

    Returns:
        Typical sizes of the change by the short and long memory, and of the bend by the long one, (3, B, L): power means, so that one
        change of 10^9 is nearly forgotten a dozen points later, and repeats do not make it 0. Means (4, B, L): of the size of the change,
        by the long memory, of the change by the short and the long one, and of whether it is 0.
    """
    x = torch.stack([change, bend]).to(torch.float64)
    root, own = x.abs().sqrt().sqrt(), x[0]
    one, still = torch.ones_like(own), own == 0
    weight = torch.exp(decay * count) * moved
    sums = (torch.stack([one, root[0], own, one, root[0], root[1], own.abs(), own, still.to(own)]) * weight).cumsum(-1)
    fast, slow = ((part[1:] / part[0].clamp(min=1e-300)).to(change.dtype) for part in (sums[:3], sums[3:]))
    typical = torch.cat([fast[:1], slow[:2]])
    return typical.square().square(), torch.stack([slow[2], fast[1], slow[3], slow[4]])


def general_query(query: Float[Tensor, "B P"], step: Float[Tensor, "B #P"], gap: Float[Tensor, "B #P"]) -> Float[Tensor, "B P F"]:
    """Query step relative to the horizon, to the last observed step and to the spacing of the observed ones."""
    ahead = (query - step).clamp(min=1e-6)
    features = [
        query / 50 - 1,
        torch.log((query / 100).clamp(min=1e-7)) / 3 + 1,
        ahead / 50 - 1,
        torch.log(ahead / 100) / 3 + 1,
        torch.log1p(ahead / gap.clamp(min=1e-6)) / 2 - 1,
        torch.log(query / step),
        ahead / query,
    ]
    return torch.stack(features, dim=-1)
