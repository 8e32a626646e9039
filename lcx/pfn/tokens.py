"""How the models read a user's curves: which points, in which units, and what is left out."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lcx.curves import SMALLEST_RANGE, Curves, Scale, direction
from lcx.pfn.features import Frame

MOST_TOKENS = 100  # the parametric model is trained on curves of at most this many points
GENERAL_TOKENS, RECENT = 512, 128  # and the general one on so many; of longer curves the last ones are read without gaps
_FURTHEST = 1e9  # model units that the parametric network reads at most: float64 must tell its quantiles apart there
_LARGEST = 1e300  # of a value that the general model reads: beyond it answers overflow


class Tokens:
    """Curves as the parametric model reads them (see :class:`Extrapolator`): float32 model units, NaN-padded on the right.

    Values beyond ``furthest`` are read as that: the network needs it, a likelihood must not have it.

    Attributes:
        values, steps: (B, L) the tokens.
        counts: (B,) tokens per curve.
        origin: (B, L) index among the curve's observed points of each token.
        scale: from model to user units.
    """

    frame = None
    most, first_step = MOST_TOKENS, 1.0

    def __init__(self, curves: Curves, scale: Scale, furthest: float = _FURTHEST) -> None:
        self.scale = scale
        values, steps, counts = scale.to_model(curves.values), model_steps(curves.steps, curves), curves.counts
        self.origin = torch.arange(steps.shape[1]).expand(steps.shape)
        self.early = (steps < 1).sum(1)
        self.read = counts - self.early
        if self.early.any():
            # A curve that is all early keeps its last point. The points kept are those from `first` on.
            first = torch.minimum(self.early, counts - 1)
            self.origin = self.origin + first[:, None]
            counts = counts - first
        self.thinned = counts > MOST_TOKENS
        if self.thinned.any():
            even = (torch.arange(MOST_TOKENS) * ((counts - 1) / (MOST_TOKENS - 1))[:, None]).round().long()
            kept = torch.where(self.thinned[:, None], even, torch.arange(MOST_TOKENS))
            self.origin = kept + (self.origin[:, :1] if self.early.any() else 0)
            counts = counts.clamp(max=MOST_TOKENS)
        self.counts = counts
        if self.early.any() or self.thinned.any():
            self.origin = self.origin[:, : int(counts.max())].clamp(max=values.shape[1] - 1)
            padding = torch.arange(self.origin.shape[1]) >= counts[:, None]
            values, steps = (x.gather(1, self.origin).masked_fill(padding, torch.nan) for x in (values, steps))
        self.values, self.steps = values.clamp(-furthest, furthest).float(), steps.clamp(min=1).float()

    def token_at(self, cutoffs: Int[Tensor, "C"]) -> Int[Tensor, "B C"]:
        """Index of the last token among the first ``cutoffs`` points; -1 where there is none."""
        return _token_at(self.origin, self.counts, cutoffs)

    def notes(self, bounds: Any, unit: Any) -> list[str]:
        """What was guessed, left out, or lies off the model's scale."""
        notes = []
        if unit is None and None in tuple(bounds):
            notes.append(
                "no unit and no two bounds given: the metric's scale is guessed from the observed values (see lcx.curves.as_scale)"
            )
        for what, which in (
            ("points before 1 % of the horizon are not read", (self.early > 0) & (self.read > 0)),
            ("all points lie before 1 % of the horizon: only the last is read, as if at 1 %", self.read == 0),
            (f"of more than {MOST_TOKENS} points, {MOST_TOKENS} evenly spaced ones are read", self.thinned),
            ("the values lie far outside the scale (worst, best)", (self.values.nanmedian(1).values - 0.5).abs() > 1),
        ):
            notes += _noted(what, which)
        return notes


class GeneralTokens:
    """Curves as the general model reads them: float32, larger is better, NaN-padded on the right, with what else is known of them.

    The chart of the values does not matter to the model; here the last value is 0, so that the latest changes keep their digits
    whatever came before, and the range is 1. If a curve has more than 512 points, the last 128 are
    read, and 384 evenly spaced ones before them.

    Attributes: as those of :class:`Tokens`, and
        frame: bounds, and the scale to assume while all values are equal: the width of the bounds, else the distance from the one
            bound there is, else max(|value|, 1).
    """

    most, first_step = GENERAL_TOKENS, 1e-5

    def __init__(self, curves: Curves, *, mode: str, bounds: Any) -> None:
        sign, (lower, upper) = direction(mode), bounds
        values, counts = curves.values, curves.counts
        last = values.gather(1, counts[:, None] - 1).squeeze(1)
        width = values.nan_to_num(-torch.inf).amax(1) - values.nan_to_num(torch.inf).amin(1)
        best = last + sign * torch.where(width > SMALLEST_RANGE, width, 1.0)
        if (odd := ~(width.isfinite() & best.isfinite() & (values.nan_to_num(0.0).abs().amax(1) <= _LARGEST))).any():
            row, came = int(odd.int().argmax()), values[int(odd.int().argmax())].tolist()[:5]
            raise ValueError(
                f"Expected values up to {_LARGEST:g} in size with a finite range; got {came}... in curve {row}. Rescale the values."
            )
        best = torch.where(best == last, torch.nextafter(last, torch.full_like(last, sign * torch.inf)), best)
        self.scale = Scale(last, best)
        width = self.scale.slope.abs()
        ends = [torch.full_like(last, side * torch.inf if bound is None else float(bound)) for bound, side in ((lower, -1), (upper, 1))]
        below, above = (sign * (end - last) / width for end in ends[::sign])
        first, room = values[:, 0], ends[1] - ends[0]
        near = torch.minimum((ends[0] - first).abs(), (ends[1] - first).abs())
        near = torch.where(near.isfinite() & (near > 0), near, first.abs().clamp(min=1))
        fallback = (torch.where(room.isfinite(), room, near) / width).clamp(1e-30, 1e30)  # else 0 or infinite in float32
        self.frame = Frame(*(x.float() for x in (below, above, fallback)))
        self.thinned = counts > GENERAL_TOKENS
        self.counts = counts.clamp(max=GENERAL_TOKENS)
        self.origin = torch.arange(min(values.shape[1], GENERAL_TOKENS)).expand(len(values), -1)
        if self.thinned.any():
            early = GENERAL_TOKENS - RECENT
            k = torch.arange(GENERAL_TOKENS)
            even = (k * ((counts - RECENT - 1) / (early - 1))[:, None]).round().long()
            kept = torch.where(k < early, even, (counts - GENERAL_TOKENS)[:, None] + k)
            self.origin = torch.where(self.thinned[:, None], kept, k).clamp(max=values.shape[1] - 1)
        padding = torch.arange(self.origin.shape[1]) >= self.counts[:, None]
        shown = sign * (values - last[:, None]) / width[:, None]
        steps = model_steps(curves.steps, curves)
        values, steps = (x.gather(1, self.origin).masked_fill(padding, torch.nan) for x in (shown, steps))
        self.values, self.steps = values.float(), steps.clamp(min=self.first_step).float()

    def token_at(self, cutoffs: Int[Tensor, "C"]) -> Int[Tensor, "B C"]:
        """Index of the last token among the first ``cutoffs`` points."""
        return _token_at(self.origin, self.counts, cutoffs)

    def notes(self, bounds: Any, unit: Any) -> list[str]:
        """What was left out."""
        return _noted(
            f"of more than {GENERAL_TOKENS} points, the last {RECENT} and {GENERAL_TOKENS - RECENT} before are read", self.thinned
        )


def _token_at(origin: Int[Tensor, "B L"], counts: Int[Tensor, "B"], cutoffs: Int[Tensor, "C"]) -> Int[Tensor, "B C"]:
    inside = torch.arange(origin.shape[1]) < counts[:, None]
    return ((origin[:, None, :] < cutoffs[:, None]) & inside[:, None, :]).sum(-1) - 1


def _noted(what: str, which: Bool[Tensor, "B"]) -> list[str]:
    rows = which.nonzero().flatten().tolist()
    return [f"curve {', '.join(map(str, rows[:5]))}{', ...' if len(rows) > 5 else ''}: {what}"] if rows else []


def model_steps(steps: Float[Tensor, "B ..."], curves: Curves) -> Float[Tensor, "B ..."]:
    """t = 100 * step / horizon of the user's steps; NaN stays."""
    less = torch.where(curves.horizon > 1e300, 1e-10, 1.0).to(steps)  # lest 100 * step overflow
    return (100 * (steps.movedim(0, -1) * less) / (curves.horizon * less)).movedim(-1, 0)
