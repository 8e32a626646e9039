"""Checks users' learning curves and packs them into padded tensors; every function that takes curves from users does it here."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lcx.arrays import Numbers, as_floats, as_pair, as_rows, as_step_rows

LARGEST = 1e300  # of a value that a model reads: beyond it answers overflow
SMALLEST_RANGE = 1e-280  # below it values count as equal: float64 must hold a tiny part of it


@dataclass(frozen=True)
class Curves:
    """A batch of learning curves, padded with NaN, in the user's units: float64 from `as_curves`, float32 from a prior."""

    values: Float[Tensor, "batch length"]  # metric; observed points first, padding on the right
    steps: Float[Tensor, "batch length"]  # user's step unit, > 0, strictly increasing; NaN where padded
    horizon: Float[Tensor, " batch"]  # last step of the run (its budget), user's step unit

    def __len__(self) -> int:
        return self.values.shape[0]

    @property
    def counts(self) -> Int[Tensor, " batch"]:
        """Number of observed points."""
        return (~self.values.isnan()).sum(1)

    @property
    def last_step(self) -> Float[Tensor, " batch"]:
        """Step of the last observed point, user's step unit."""
        return self.steps.gather(1, self.counts[:, None] - 1).squeeze(1)

    def to(self, target: torch.device | torch.dtype | str) -> "Curves":
        """The same curves on another device or in another floating dtype."""
        return Curves(self.values.to(target), self.steps.to(target), self.horizon.to(target))


@dataclass(frozen=True)
class Scale:
    """For each curve, the user values that the model reads as 0 (`worst`) and 1 (`best`). The map is affine: nothing is clipped."""

    worst: Float[Tensor, " batch"]
    best: Float[Tensor, " batch"]

    @property
    def slope(self) -> Float[Tensor, " batch"]:
        """User units per model unit, best - worst: negative when smaller is better."""
        return self.best - self.worst

    def to_model(self, values: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """Model units from user values: (values - worst) / slope."""
        return ((values.movedim(0, -1) - self.worst) / self.slope).movedim(-1, 0)

    def to_user(self, values: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """User values from model units: worst + slope * values."""
        return (self.worst + self.slope * values.movedim(0, -1)).movedim(-1, 0)


def as_curves(values: Any, steps: Any = None, *, horizon: Any, bounds: Any = (None, None), finished: bool = False) -> tuple[Curves, bool]:
    """Checks a user's curves and packs them into a batch. A missing value is left out together with its step.

    Args:
        values: metric, user's unit: one curve (1-D) or many (list of 1-D, or 2-D padded with NaN). NaN and None are missing values.
        steps: step of each value, user's step unit, > 0, strictly increasing. A flat array serves all curves: each takes as many of its
            first entries as it has values. A list of 1-D or a 2-D array has one row per curve. None: 1, 2, ... by position.
        horizon: last step of the run, user's step unit, beyond the last observed step; one number or one per curve.
        bounds: limits (lower, upper) of the metric, user's unit, which are possible values themselves; None where there is none.
        finished: whether a run may have reached its horizon, as in a back-test.

    Returns:
        The curves in float64, sharing no memory with the input; and whether one curve was given, so that answers have no batch axis.

    Raises:
        TypeError: an argument is not made of numbers. ValueError: the numbers break a rule above.
    """
    given = as_rows(values, "values")
    numbers, seen = given.numbers, ~np.isnan(given.numbers)
    counts = seen.sum(1, keepdims=True)
    given.refuse(np.isinf(numbers), "finite values", "Write NaN for a diverged point.")
    Numbers(counts, "finite values", given.one).refuse(counts == 0, "at least one finite value per curve", "Leave out runs without one.")
    lower, upper = as_pair(bounds, "bounds")
    given.refuse((numbers < lower) | (numbers > upper), f"values within {bounds}", "Correct it or widen the bounds.")
    grid = np.broadcast_to(np.arange(1.0, numbers.shape[1] + 1), numbers.shape)
    if steps is not None:
        rows = as_step_rows(steps, "steps", given)
        wrong = rows.lengths < given.lengths if rows.flat and not given.one else rows.lengths != given.lengths
        sizes = Numbers(given.lengths, "number of values", given.one)
        sizes.refuse(wrong, "as many steps as values", "Give missing values a step too.", number_of_steps=rows.lengths)
        grid = rows.numbers[:, : numbers.shape[1]]
    given.refuse(seen & np.isnan(grid), "a step for each finite value", "Give it, or write NaN for both.", step=grid)
    kept = np.arange(counts.max()) < counts
    packed, packed_steps = np.full(kept.shape, np.nan), np.full(kept.shape, np.nan)
    packed[kept], packed_steps[kept] = numbers[seen], grid[seen]
    last, column = np.fmax.reduce(packed_steps, 1, keepdims=True), as_floats(horizon, "horizon")[..., None]
    ends = as_step_rows(column, "horizon", given)  # one row per curve, or a flat one for all
    passed = ends.numbers < last if finished else ends.numbers <= last
    ends.refuse(passed, "no steps at or beyond the horizon", "Raise it or cut the curve.", last_step=last)
    return Curves(*map(torch.from_numpy, (packed, packed_steps, ends.numbers[:, 0]))), given.one


def as_scale(curves: Curves, *, mode: str, bounds: Any, unit: Any) -> Scale:
    """Chooses the user values that the parametric model reads as 0 (worst) and 1 (best).

    The first line that applies, for mode "max". Mode "min" is the mirror image: read lower for upper, and smallest for largest.
        unit            worst = unit[0], best = unit[1]
        both bounds     worst = lower, best = upper
        upper known     worst = first value, best = upper; with fewer than two distinct values, or the first at the
                        upper bound: worst = upper - max(|first|, 1, upper - first)
        upper unknown   worst = first value, best = largest + (largest - first), room for as much again; if no value
                        exceeds the first: best = first + max(|first|, 1)

    Args:
        curves: observed points, user's units.
        mode: "max" if larger is better, "min" if smaller is.
        bounds: (lower, upper) as in `as_curves`.
        unit: (worst, best), user's unit, or None.

    Returns:
        A scale of finite, non-zero slope, with dtype and device of `curves`.

    Raises:
        TypeError: not a pair of numbers. ValueError: unknown mode, a pair out of order, values beyond LARGEST, or differences that
            overflow.

    Source: ours.
    """
    sign = direction(mode)
    low, high = as_pair(bounds, "bounds")[::sign] if unit is None else as_pair(unit, "unit", sign)
    values = sign * curves.values.cpu().numpy()  # larger is better from here on
    first, top = values[:, :1], np.fmax.reduce(values, 1, keepdims=True)
    width = np.maximum(np.abs(first), 1)
    with np.errstate(over="ignore"):  # refused below
        if math.isinf(high):
            worst, best = first, top + np.where(top - first > SMALLEST_RANGE, top - first, width)
        else:
            best = np.full_like(first, sign * high)
            flat = np.minimum(top - np.fmin.reduce(values, 1, keepdims=True), best - first) <= SMALLEST_RANGE
            worst = np.where(flat, best - np.maximum(width, best - first), first)
            worst = worst if math.isinf(low) else np.full_like(first, sign * low)
        bad = ~(np.isfinite(best - worst) & (np.abs(best - worst) > SMALLEST_RANGE))
    bad, worst, best = bad | (np.fmax.reduce(np.abs(values), 1, keepdims=True) > np.float64(LARGEST)), sign * worst, sign * best
    wanted = f"a finite, non-zero scale and values up to {LARGEST:g} in size"
    Numbers(worst, "worst", len(worst) == 1).refuse(bad, wanted, "Rescale the values.", best=best)
    return Scale(*(torch.from_numpy(end[:, 0]).to(curves.values) for end in (worst, best)))


def direction(mode: str) -> int:
    """1 for mode "max", -1 for "min"; ValueError for any other."""
    if mode not in ("max", "min"):
        raise ValueError(f"Expected mode 'max' or 'min'; got {mode!r}. Write 'max' if larger is better, else 'min'.")
    return 1 if mode == "max" else -1
