"""The features of a token. Each is a statistic of the points up to that token alone, so one encoding serves every cut-off.

There are two charts. The parametric model reads model units as they are. The general model reads nothing but ratios: the features of a
token are in units of what was seen up to it, so y -> a y + b (a > 0), with the bounds mapped alike, changes no feature.

Shape letters: B curves, L tokens, P pairs, F features, H heads.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

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


def previous(values: Tensor, steps: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Value and step of the last seen token before each token, and whether there is one, each (B, L)."""
    index = torch.arange(values.shape[1], device=values.device)
    before = torch.where(seen, index, -1).cummax(1).values.roll(1, 1)
    before[:, 0] = -1
    at = before.clamp(min=0)
    return values.gather(1, at), steps.gather(1, at), before >= 0


def parametric_tokens(values: Float[Tensor, "B L"], steps: Float[Tensor, "B L"], seen: Bool[Tensor, "B L"]) -> Float[Tensor, "B L F"]:
    """Value, step and the change since the point before, the latter at the resolutions of large, usual and tiny noise."""
    value_before, step_before, has_before = previous(values, steps, seen)
    change = torch.where(has_before, values - value_before, 0.0)
    gap = torch.where(has_before, steps - step_before, 1.0)
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


class _Running:
    """Means over a prefix that forget, a token at a time; only tokens that ``moved``, having one before, count."""

    def __init__(self, moved: Bool[Tensor, "B L"], rank: Int[Tensor, "B L"], dtype: torch.dtype) -> None:
        self.moved, self.rank, self.dtype = moved, rank.to(torch.float64), dtype

    def mean(self, x: Float[Tensor, "B L"], rate: float) -> Float[Tensor, "B L"]:
        """Weights ``rate`` per token back."""
        weight = torch.where(self.moved, torch.exp(-math.log(rate) * self.rank), 0.0)
        return ((weight * x).cumsum(1) / weight.cumsum(1).clamp(min=1e-300)).to(self.dtype)

    def typical(self, x: Float[Tensor, "B L"], rate: float) -> Float[Tensor, "B L"]:
        """A power mean of sizes: one change of 10^9 is nearly forgotten a dozen points later, and repeats do not make it 0."""
        return self.mean(x.abs().to(torch.float64) ** 0.25, rate) ** 4


def general_tokens(
    values: Float[Tensor, "B L"], steps: Float[Tensor, "B L"], seen: Bool[Tensor, "B L"], frame: Frame
) -> tuple[Float[Tensor, "B L F"], Float[Tensor, "B L"], Float[Tensor, "B L"]]:
    """Features of each token, the unit of change at it (chart units, > 0) and the spacing of steps before it.

    The unit is a running power mean of the size of recent changes, so it follows a curve from its first drop to its plateau.
    """
    value_before, step_before, has_before = previous(values, steps, seen)
    gap = torch.where(has_before, steps - step_before, steps).clamp(min=1e-6)
    count, moved = seen.cumsum(1), has_before & seen
    change = torch.where(moved, values - value_before, 0.0)
    high = values.masked_fill(~seen, -torch.inf).cummax(1)
    low = values.masked_fill(~seen, torch.inf).cummin(1)
    top, bottom = (torch.where(count > 0, x.values, values) for x in (high, low))
    flat, fallback = top <= bottom, frame.fallback[:, None]
    width = torch.where(flat, fallback, top - bottom)
    running = _Running(moved, count, values.dtype)
    long = running.typical(change, _SLOW)
    unit = torch.maximum(running.typical(change, _FAST), _SMALLEST_UNIT * long).clamp(min=1e-30)
    unit = torch.where(flat, fallback, torch.maximum(unit, 1e-20 * width))
    slow = torch.where(flat, fallback, torch.maximum(running.mean(change.abs(), _SLOW), unit * 1e-3))
    bend = running.typical(_bend(change, steps, moved), _SLOW)
    # The fallback may stand in while values are equal, but no later token may learn what it was.
    was_flat = previous(flat.to(values.dtype), steps, seen)[0] > 0
    unit_before, width_before = (torch.where(has_before & ~was_flat, previous(x, steps, seen)[0], x) for x in (unit, width))
    first = values.gather(1, seen.int().argmax(1, keepdim=True))
    number = count.clamp(min=1).to(values.dtype)
    since_top = number - torch.where(seen, 1 + high.indices, 1).to(values.dtype).clamp(max=number)
    features = [
        *_time(steps, gap, number),
        torch.asinh(change / unit),
        torch.asinh(30 * change / unit) / 4,
        torch.asinh(10 * change / width),
        2 * (values - bottom) / width - 1,
        *(torch.asinh((x / unit).clamp(-_FAR, _FAR)) / 2 for x in (top - values, values - bottom, values - first)),
        *(torch.asinh(10 * x / width) for x in (top - values, values - first)),
        torch.log((width / unit).clamp(max=_FAR)) / 3 - 1,
        torch.log((slow / unit).clamp(max=_MANY)) / 2,
        torch.log((long / unit).clamp(1e-6, _MANY)),
        torch.log((bend / unit).clamp(1e-3, _MANY)),
        torch.log((unit / unit_before).clamp(1 / _MANY, _MANY)),
        torch.log(width / width_before),
        2 * running.mean(change, _FAST) / unit,
        2 * running.mean(change, _SLOW) / slow,
        running.mean((change == 0).to(values.dtype), _SLOW),
        since_top / number,
        flat.to(values.dtype),
        *(_room(x, unit) for x in (frame.upper[:, None] - values, values - frame.lower[:, None])),
    ]
    return torch.stack([x.to(values.dtype).clamp(-12, 12) for x in features], dim=-1), unit, gap


def _bend(change: Tensor, steps: Tensor, moved: Tensor) -> Tensor:
    """How much each change differs from the one before it; the first one itself."""
    before, _, has_two = previous(change, steps, moved)
    return torch.where(moved & has_two, change - before, change)


def _time(steps: Tensor, gap: Tensor, number: Tensor) -> list[Tensor]:
    """Step, spacing and number of points, relative to the horizon and to one another."""
    share = steps / 100
    logs = torch.log(share.clamp(min=1e-7)) / 3 + 1, torch.log(gap / 100) / 3 + 1, torch.log(gap / steps), torch.log(number) / 2 - 1
    return [2 * share - 1, *logs]


def _room(room: Tensor, unit: Tensor) -> Tensor:
    """Distance to a bound in units of change, -1 where no bound is known."""
    return torch.where(torch.isinf(room), -1.0, torch.asinh((room / unit).nan_to_num(posinf=0.0).clamp(0, 1e12)) / 5)


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
