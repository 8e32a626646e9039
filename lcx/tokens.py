"""How the parametric model reads a user's curves: which points, in which units, and what that leaves out."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lcx.curves import Curves, Scale, as_queries

MOST_TOKENS = 100  # the model is trained on curves of at most this many points


class Tokens:
    """Curves as the parametric model reads them (see :class:`Extrapolator`): float32 model units, NaN-padded on the right.

    Attributes:
        values, steps: (B, L) the tokens.
        counts: (B,) tokens per curve.
        origin: (B, L) index among the curve's observed points of each token.
    """

    def __init__(self, curves: Curves, scale: Scale) -> None:
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
        self.values, self.steps = values.float(), steps.clamp(min=1).float()

    def token_at(self, cutoffs: Int[Tensor, "C"]) -> Int[Tensor, "B C"]:
        """Index of the last token among the first ``cutoffs`` points; -1 where there is none."""
        inside = torch.arange(self.values.shape[1]) < self.counts[:, None]
        return ((self.origin[:, None, :] < cutoffs[:, None]) & inside[:, None, :]).sum(-1) - 1

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
            if which.any():
                rows = which.nonzero().flatten().tolist()
                notes.append(f"curve {', '.join(map(str, rows[:5]))}{', ...' if len(rows) > 5 else ''}: {what}")
        return notes


def model_steps(steps: Float[Tensor, "B ..."], curves: Curves) -> Float[Tensor, "B ..."]:
    """t = 100 * step / horizon of the user's steps; NaN stays."""
    return (100 * steps.movedim(0, -1) / curves.horizon).movedim(-1, 0)


def as_cutoffs(cutoffs: Any, curves: Curves) -> Int[Tensor, "C"]:
    """Checked cut-offs, or 1, 2, ... up to one point less than the longest curve has."""
    longest = curves.values.shape[1]
    if cutoffs is None:
        return torch.arange(1, max(longest, 2))
    cuts = np.atleast_1d(np.asarray(cutoffs))
    if cuts.dtype.kind not in "iu" or cuts.ndim != 1 or not cuts.size or (np.diff(cuts) <= 0).any() or cuts[0] < 1 or cuts[-1] > longest:
        raise ValueError(
            f"expected cutoffs as strictly increasing whole numbers of points within 1..{longest}, got {cutoffs!r}; "
            "leave it out for every cut-off"
        )
    return torch.from_numpy(cuts.astype(np.int64))


def queries_after(cuts: Int[Tensor, "C"], at: Any, curves: Curves) -> Float[Tensor, "B C A"]:
    """Steps to predict from each cut-off; NaN where not after it or where the curve has fewer points than the cut-off."""
    first = int(cuts[0])
    begun = Curves(curves.values[:, :first], curves.steps[:, :first], curves.horizon)
    if at is None:
        queries = torch.cat([curves.steps[:, first:], as_queries(None, curves)], 1).sort(1).values
        queries = queries[:, : max(1, int((~queries.isnan()).sum(1).max()))]
    else:
        queries = as_queries(at, begun)
    reached = cuts.clamp(max=curves.steps.shape[1]) - 1
    live = (cuts <= curves.counts[:, None])[..., None] & (queries[:, None, :] > curves.steps[:, reached][..., None])
    return torch.where(live, queries[:, None, :], torch.nan)
