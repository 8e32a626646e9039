"""The steps to predict, checked or by default; those of a back-test, and the last point before each of its cut-offs."""

from numbers import Real
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lcx.arrays import Numbers, as_step_rows
from lcx.curves import Curves
from lcx.pfn.tokens import GeneralTokens, Tokens

MAX_GRID = 512  # most steps in the default query grid (DESIGN section 4, `at`)


def as_queries(at: Any, curves: Curves) -> Float[Tensor, "batch queries"]:
    """Checks the steps to predict, or returns the default ones.

    Args:
        at: query steps, user's step unit, strictly increasing, within (last observed step, horizon]. A number or a flat
            array serves all curves; a list of 1-D or a 2-D array padded with NaN has one row per curve. None: every
            integer step, and the horizon if it is not an integer; or 512 evenly spaced steps if these are more than 512.
        curves: the curves to be extrapolated, each ending before its horizon.

    Returns:
        Query steps, user's step unit, NaN-padded on the right, with dtype and device of `curves`.

    Raises:
        TypeError: `at` is not made of numbers. ValueError: it is empty, out of order, out of range, or has a wrong number of rows.
    """
    last, horizon = np.fmax.reduce(curves.steps.cpu().numpy(), 1, keepdims=True), curves.horizon.cpu().numpy()[:, None]
    if at is None:
        start = np.floor(last)
        counts = np.ceil(horizon) - start  # the integers in (last, horizon], and a fractional horizon
        k = np.arange(1, min(counts.max(), MAX_GRID) + 1)
        even = horizon - (horizon - last) * (1 - k / MAX_GRID)  # exactly the horizon at the last k
        grid = np.where(counts > MAX_GRID, even, np.minimum(start + k, horizon))
        return torch.from_numpy(np.where(k <= counts, grid, np.nan)).to(curves.steps)
    at = [at] if isinstance(at, Real) or getattr(at, "ndim", 1) == 0 else at
    given = as_step_rows(at, "at", Numbers(last, "last step", len(curves) == 1))
    numbers = given.numbers.astype(last.dtype)  # compared as stored: a float32 horizon is itself a valid query
    given.refuse(np.isnan(numbers) & given.flat, "finite `at`", "Remove the entry: a flat array needs no padding.")
    outside, rule = (numbers <= last) | (numbers > horizon), "`at` after the last observed step, up to the horizon"
    given.refuse(outside, rule, "Remove the step or raise the horizon.", last_step=last, horizon=horizon)
    return torch.from_numpy(numbers).to(curves.steps)


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


def tokens_before(read: Tokens | GeneralTokens, cuts: Int[Tensor, "C"], queries: Float[Tensor, "B C A"]) -> Int[Tensor, "B C"]:
    """The last token before each cut-off of a back-test; 0 where there is none and nothing is asked.

    Raises:
        ValueError: a cut-off before the first point that the model can read.
    """
    last = read.token_at(cuts)
    if ((last < 0) & ~queries.isnan().all(-1)).any():
        cut = int(cuts[(last < 0).any(0)].max())
        raise ValueError(f"expected cut-offs from 1 % of the horizon on, got {cut} points before it; leave the early cut-offs out")
    return last.clamp(min=0)
