"""What other runs did between a cut-off and a query, as the target sees it, in numbers for the network."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lcx.pfn.context import Context
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
        apart = (tracks.locate(at).value - values[:, None]).masked_fill(~common, 0.0)
        sums = torch.stack([common.double(), apart.abs(), apart, apart.square()]).cumsum(-1)
        so_far, half = (sums.gather(3, i[None, :, None].expand(4, -1, k, -1)) for i in (tokens, tokens // 2))
        self.number, size, total, square = so_far
        late, late_size = (so_far - half)[:2]
        some, n = self.number > 0, self.number.clamp(min=1)
        now = (tracks.locate(steps.gather(1, tokens)[:, None].expand(-1, k, -1)).value - values.gather(1, tokens)[:, None]).abs()
        self.near = torch.where(some, size / n, now)
        self.late = torch.where(late > 0, late_size / late.clamp(min=1), self.near)
        self.offset = torch.where(some, total / n, 0.0)
        self.spread = (square / n - self.offset.square()).clamp(min=0).sqrt()


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

    here, there = (tracks.locate(x.expand(whole[0], tracks.runs, -1)) for x in (t, q))
    back = tracks.locate((2 * t - q).clamp(min=0.0).expand(whole))
    now, then, before = pick(here.value), pick(there.value), pick(back.value)
    smooth_now, smooth_then = (pick(tracks.smooth(x.expand(whole[0], tracks.runs, -1))) for x in (t, q))
    own, travel = pick(here.range), pick(there.travel - here.travel)
    near, late, offset, spread, number = (pick(x) for x in (beside.near, beside.late, beside.offset, beside.spread, beside.number))
    progress, reach = pick(progress), pick((last_step / q).clamp(1e-3, 1e3))
    last, peak = pick(tracks.per_run(tracks.values[:, -1:])), pick(tracks.per_run(tracks.extremes[0][:, -1:]))
    begun, count = pick((t >= 0.999 * tracks.per_run(tracks.first_step)).double()), known.sum(1).double()[..., None]
    y, unit, width = (x.movedim(1, 2) for x in (y, unit, width))
    move, gone = (then - now) / unit, (then - y) / unit
    features = [
        *(_asinh((now - y) / unit, s) for s in (1, 0.03)),
        _asinh(move), _asinh(move, 10) / 4, _asinh(move, 0.03),
        *(_asinh(gone, s) for s in (1, 0.03)),
        _asinh((then - now) / torch.maximum(own, _TINY * width), 3), _asinh((now - y) / width, 3), _asinh((then - y) / width, 3),
        _asinh((then - now) / width, 10), torch.log((own / width).clamp(1e-4, 1e4)) / 3,
        *(_asinh(x / scale, s) for x in (near, late, offset, spread) for scale, s in ((unit, 1), (width, 10))),
        *(_asinh(x / unit) for x in (now - before, smooth_then - smooth_now, smooth_then - y, smooth_now - y, last - then, peak - then)),
        torch.log((travel / unit).clamp(1e-4, 1e5)) / 4, (then - now).abs() / travel.clamp(min=_TINY),
        2 * progress - 1, torch.log(reach) / 2, 2 * begun - 1, (number > 0).double(),
        torch.log1p(number) / 3, torch.log1p(count.expand_as(now)) / 3,
    ]  # fmt: skip
    scaled = move * (width / torch.maximum(own, 1e-3 * width)).clamp(0.01, 100)
    moves = torch.stack([gone, move, scaled, (smooth_then - smooth_now) / unit], -1).clamp(-_FAR, _FAR)
    known = known.gather(1, kept).movedim(1, 2)
    described = torch.stack(features, -1).clamp(-12, 12)
    described, moves = (torch.where(known[..., None], x, 0.0) for x in (described, moves))
    return Described(described, moves, known)


def _asinh(x: Tensor, scale: float = 1.0) -> Tensor:
    return torch.asinh((x * scale).clamp(-1e6, 1e6))
