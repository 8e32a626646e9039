"""What other runs did between a cut-off and a query, as the target sees it, in numbers for the network."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lcx.pfn.context import Context
from lcx.pfn.kept import kept
from lcx.pfn.others import Others
from lcx.pfn.tracks import Tracks

MOST = 12  # runs that a (cut-off, query) pair looks at: of more, the closest so far
FEATURES, MOVES = 34, 4
_FAR = 1e4  # moves in units of change count as this at most
_TINY = 1e-12


class Described(NamedTuple):
    """What each pair is told of N <= ``MOST`` runs, the closest first.

    Attributes:
        features: (B, P, N, FEATURES).
        moves: (B, P, N, MOVES), in units of change: to the run's value at the query from the target's at the cut-off, from the
            run's own at the cut-off, the same in proportion to the range of each so far, and between smoothed values.
        known: (B, P, N) False where there is no run, or none with a point after the cut-off.
    """

    features: Float[Tensor, "B P N F"]
    moves: Float[Tensor, "B P N 4"]
    known: Bool[Tensor, "B P N"]


def describe(others: Others, context: Context, tokens: Int[Tensor, "B T"], queries: Float[Tensor, "B P"]) -> Described:
    """What the other runs did between the step of each cut-off and that of its query.

    Args:
        others: the runs.
        context: the encoded targets.
        tokens: last token that may be used; T is P, or 1 where all pairs of a target have the same cut-off.
        queries: model steps asked for.
    """
    tracks = Tracks(others.values, others.steps)
    values, units = ((x.double() * others.size[:, None]) for x in (context.values, context.units))
    values, steps, asked = values + others.origin[:, None], context.steps * others.span[:, None], queries * others.span[:, None]
    itself = torch.arange(tracks.runs, device=values.device) == others.own[:, None]
    beside = _Beside(tracks, values, steps, context.seen, tokens)
    if tokens.shape[1] == 1 and tracks.runs > 2 * MOST:
        # Of very many runs the closest are looked at in detail. Only with one cut-off: else each pair has runs of its own.
        open_ = (tracks.per_run(tracks.last_step) > 1.001 * steps.gather(1, tokens)[:, None]).squeeze(-1) & ~itself
        closest = beside.late.squeeze(-1).masked_fill(~open_, torch.inf).sort(1).indices[:, : 2 * MOST]
        tracks, itself = tracks.only(closest), itself.gather(1, closest)
        beside = _Beside(tracks, values, steps, context.seen, tokens)
    high = values.masked_fill(~context.seen, -torch.inf).cummax(1).values
    low = values.masked_fill(~context.seen, torch.inf).cummin(1).values
    y, t, unit, width = (x.gather(1, tokens)[:, None] for x in (values, steps, units, high - low))
    told = _told(tracks, beside, itself, y, t, unit, torch.maximum(width, unit), asked[:, None])
    return Described(told.features.to(context.values.dtype), told.moves.to(context.values.dtype), told.known)


class _Beside:
    """The target so far beside each run, at the target's own points: (B, K, T) each.

    Attributes:
        number: points the two have in common.
        near, late: mean distance of the two over these, and over the later half of the target's points.
        offset, spread: mean and standard deviation of run less target.
    """

    def __init__(self, tracks: Tracks, values: Tensor, steps: Tensor, seen: Tensor, tokens: Tensor) -> None:
        k, first, last = tracks.runs, tracks.per_run(tracks.first_step), tracks.per_run(tracks.last_step)
        at = steps[:, None].expand(-1, k, -1)
        common = seen[:, None] & (at >= 0.999 * first) & (at <= 1.001 * last)
        there = tracks.locate(torch.cat([at, steps.gather(1, tokens)[:, None].expand(-1, k, -1)], -1)).value
        apart = (there[..., : at.shape[-1]] - values[:, None]).masked_fill(~common, 0.0)
        sums = torch.stack([common.double(), apart.abs(), apart, apart.square()]).cumsum(-1)
        so_far, half = (sums.gather(3, i[None, :, None].expand(4, -1, k, -1)) for i in (tokens, tokens // 2))
        self.number, size, total, square = so_far
        late, late_size = (so_far - half)[:2]
        some, n = self.number > 0, self.number.clamp(min=1)
        now = (there[..., at.shape[-1] :] - values.gather(1, tokens)[:, None]).abs()
        self.near = torch.where(some, size / n, now)
        self.late = torch.where(late > 0, late_size / late.clamp(min=1), self.near)
        self.offset = torch.where(some, total / n, 0.0)
        self.spread = (square / n - self.offset.square()).clamp(min=0).sqrt()


class _Constants(NamedTuple):
    """Of :func:`_features`, each for a stack of numbers: of those that go through asinh, and through log."""

    way: Tensor  # where each stands among the distances
    stretch: Tensor  # before asinh
    shrink: Tensor  # after it
    least: Tensor
    most: Tensor
    share: Tensor  # of a log
    order: Tensor  # from the stacks to the features


# Of each distance: where it stands (0 to 12 in units of change, 13 to 19 and 20 in those of the target's and of the run's range), what it
# is stretched by before asinh, and shrunk by after it.
_DISTANCES = [(0, 1, 1), (0, 0.03, 1), (1, 1, 1), (1, 10, 4), (1, 0.03, 1), (2, 1, 1), (2, 0.03, 1), (20, 3, 1), (13, 3, 1), (15, 3, 1)]
_DISTANCES += [(14, 10, 1), (9, 1, 1), (16, 10, 1), (10, 1, 1), (17, 10, 1), (11, 1, 1), (18, 10, 1), (12, 1, 1), (19, 10, 1)]
_DISTANCES += [(i, 1, 1) for i in range(3, 9)]
_ORDER = [*range(11), 25, *range(11, 25), 26, 30, 31, 27, 32, 33, 28, 29]  # 25 distances, three logs, two counts, four others


@kept
def _constants(device: torch.device) -> _Constants:
    def column(*numbers: float) -> Tensor:
        return torch.tensor(numbers, dtype=torch.float64, device=device)[:, None, None, None]

    way, stretch, shrink = zip(*_DISTANCES, strict=True)
    scales = column(*stretch), column(*shrink), column(1e-4, 1e-4, 1e-3), column(1e4, 1e5, 1e3), column(3, 4, 2)
    return _Constants(torch.tensor(way, device=device), *scales, torch.tensor(_ORDER, device=device))


def _told(tracks: Tracks, beside: _Beside, itself: Tensor, y: Tensor, t: Tensor, unit: Tensor, width: Tensor, q: Tensor) -> Described:
    """Features, moves and which runs are known; y, t, unit, width are (B, 1, T), the queries ``q`` (B, 1, P)."""
    whole = (itself.shape[0], tracks.runs, q.shape[-1])
    last_step = tracks.per_run(tracks.last_step)
    known = ((last_step > 1.001 * t) & ~itself[..., None]).expand(whole)
    progress = ((torch.minimum(last_step, q) - t) / (q - t).clamp(min=_TINY)).clamp(0, 1).expand(whole)
    nearest = (beside.late * (1 + 3 * (1 - progress))).masked_fill(~known, torch.inf)
    kept = nearest.sort(1).indices[:, :MOST]

    def pick(x: Tensor) -> Tensor:
        return x.expand(whole).gather(1, kept).movedim(1, 2)

    back = (2 * t - q).clamp(min=0.0)
    asked = [x.expand(whole[0], tracks.runs, -1) for x in (t, q, back)]
    one, two = t.shape[-1], t.shape[-1] + q.shape[-1]
    parts = slice(one), slice(one, two), slice(two, None)
    smooth = tracks.smooth(torch.cat(asked[:2], -1))
    place = tracks.locate(torch.cat(asked, -1))  # at once: a call costs more than the numbers of one question
    now, then, before = (pick(place.value[..., part]) for part in parts)
    smooth_now, smooth_then = (pick(smooth[..., part]) for part in parts[:2])
    here, there = (place.travel[..., part] for part in parts[:2])
    own, travel = pick(place.range[..., :one]), pick(there - here)
    near, late, offset, spread, number = (pick(x) for x in (beside.near, beside.late, beside.offset, beside.spread, beside.number))
    progress, reach = pick(progress), pick(last_step / q)
    last, peak = pick(tracks.per_run(tracks.values[:, -1:])), pick(tracks.per_run(tracks.extremes[0][:, -1:]))
    begun, count = pick((t >= 0.999 * tracks.per_run(tracks.first_step)).double()), known.sum(1).double()[..., None]
    y, unit, width = (x.movedim(1, 2) for x in (y, unit, width))
    ways = [
        now - y, then - now, then - y, now - before, smooth_then - smooth_now, smooth_then - y, smooth_now - y, last - then, peak - then
    ]  # fmt: skip
    by_unit, by_width = (torch.stack([*x, near, late, offset, spread]) / by for x, by in ((ways, unit), (ways[:3], width)))
    far = torch.cat([by_unit, by_width, (ways[1] / torch.maximum(own, _TINY * width))[None]])
    ratios, counts = torch.stack([own / width, travel / unit, reach]), torch.stack([number, count.expand_as(now)])
    plain = [ways[1].abs() / travel.clamp(min=_TINY), 2 * progress - 1, 2 * begun - 1, (number > 0).double()]
    scaled = by_unit[1] * (width / torch.maximum(own, 1e-3 * width)).clamp(0.01, 100)
    moves = torch.stack([by_unit[2], by_unit[1], scaled, by_unit[4]], -1).clamp(-_FAR, _FAR)
    known = known.gather(1, kept).movedim(1, 2)
    features, moves = (torch.where(known[..., None], x, 0.0) for x in (_features(far, ratios, counts, torch.stack(plain)), moves))
    return Described(features, moves, known)


def _features(far: Tensor, ratios: Tensor, counts: Tensor, plain: Tensor) -> Float[Tensor, "B P N F"]:
    """The features from their stacks. What takes the same function is put through it at once: the calls cost more than the numbers."""
    given = _constants(far.device)
    far = torch.asinh((far.index_select(0, given.way) * given.stretch).clamp(-1e6, 1e6)) / given.shrink
    ratios = torch.log(ratios.clamp(given.least, given.most)) / given.share
    return torch.cat([far, ratios, torch.log1p(counts) / 3, plain]).index_select(0, given.order).clamp(-12, 12).movedim(0, -1)
