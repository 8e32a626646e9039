"""How the models read a user's curves: which points, in which units, and what is left out."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lcx.curves import LARGEST, SMALLEST_RANGE, Curves, Scale, direction
from lcx.pfn.features import Frame

MOST_TOKENS = 100  # the parametric model is trained on curves of at most this many points
GENERAL_TOKENS, AVERAGED = 512, 128  # and the general one reads so many; longer curves as so many averages
_FURTHEST = 1e9  # model units that the parametric network reads at most: float64 must tell its quantiles apart there


class Tokens:
    """Curves as the parametric model reads them (see :class:`Extrapolator`): float32 model units, NaN-padded on the right.

    Values beyond ``furthest`` are read as that: the network needs it, a likelihood must not have it.

    Attributes:
        values, steps: (B, L) the tokens.
        counts: (B,) tokens per curve.
        origin: (B, L) index among the curve's observed points of each token.
        scale: from model to user units.
    """

    frame = noise = None
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
    whatever came before, and the range is 1. A curve of more than 512 points is read as 128 averages over as many points each, at their
    mean steps, so that many noisy points tell more than few do. The predictive is then that of an average, to which ``noise`` adds what a
    single value differs from it by (benchmarks/LOG.md, "Long noisy curves").

    Attributes: as those of :class:`Tokens`, but ``origin`` has the last point of each average, and
        frame: bounds, and the scale to assume while all values are equal: the width of the bounds, else the distance from the one
            bound there is, else max(|value|, 1).
        noise: (B, L) standard deviation of single values around the averages up to each token, chart units; None if no curve is averaged.
        exact: the values and steps before they are made float32, float64.
    """

    noise: Float[Tensor, "B L"] | None = None
    most, first_step = GENERAL_TOKENS, 1e-5

    def __init__(self, curves: Curves, *, mode: str, bounds: Any) -> None:
        values, counts = curves.values.numpy(), curves.counts.numpy()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # refused, or meant to be infinite
            shown = self._charted(values, counts, direction(mode), bounds)
        size, steps = np.where(counts > GENERAL_TOKENS, AVERAGED, counts), model_steps(curves.steps, curves).numpy()
        self.thinned, self.counts = (torch.from_numpy(x) for x in (counts > GENERAL_TOKENS, size))
        k = np.arange(min(values.shape[1], int(size.max())))
        kept = np.broadcast_to(k, (len(values), len(k)))
        if (counts > GENERAL_TOKENS).any():
            kept, shown, steps, noise = _averaged(shown, steps, counts, size)
            self.noise = torch.from_numpy(noise.astype(np.float32))
        self.origin = torch.from_numpy(kept.copy())
        self.exact = torch.from_numpy(shown), torch.from_numpy(steps)
        self.values, self.steps = (torch.from_numpy(x.astype(np.float32)) for x in (shown, np.maximum(steps, self.first_step)))

    def _charted(self, values: Float[np.ndarray, "B L"], counts: Int[np.ndarray, "B"], sign: int, bounds: Any) -> Float[np.ndarray, "B L"]:
        """The values in the chart of each curve, whose scale and frame it finds."""
        lower, upper = (side * np.inf if bound is None else float(bound) for bound, side in zip(bounds, (-1, 1), strict=True))
        first, last = values[:, 0], values[np.arange(len(values)), counts - 1]
        top, bottom = np.fmax.reduce(values, 1), np.fmin.reduce(values, 1)
        width = top - bottom
        best = last + sign * np.where(width > SMALLEST_RANGE, width, 1.0)
        if (odd := ~(np.isfinite(width) & np.isfinite(best) & (np.maximum(top, -bottom) <= LARGEST))).any():
            row = int(odd.argmax())
            raise ValueError(
                f"Expected values up to {LARGEST:g} in size with a finite range; got {values[row, :5].tolist()}... in curve {row}. "
                "Rescale the values."
            )
        best = np.where(best == last, np.nextafter(last, sign * np.inf), best)
        self.scale, width = Scale(torch.from_numpy(last), torch.from_numpy(best)), np.abs(best - last)
        near, room = np.minimum(np.abs(lower - first), np.abs(upper - first)), upper - lower
        near = np.where(np.isfinite(near) & (near > 0), near, np.maximum(np.abs(first), 1))
        fallback = ((room if room < np.inf else near) / width).clip(1e-30, 1e30)  # else 0 or infinite in float32
        below, above = (sign * (end - last) / width for end in (lower, upper)[::sign])
        self.frame = Frame(*(torch.from_numpy(x.astype(np.float32)) for x in (below, above, fallback)))
        return sign * (values - last[:, None]) / width[:, None]

    def token_at(self, cutoffs: Int[Tensor, "C"]) -> Int[Tensor, "B C"]:
        """Index of the last token among the first ``cutoffs`` points."""
        return _token_at(self.origin, self.counts, cutoffs)

    def notes(self, bounds: Any, unit: Any) -> list[str]:
        """What was left out."""
        return _noted(f"more than {GENERAL_TOKENS} points are read as {AVERAGED} averages", self.thinned)


def _averaged(
    values: Float[np.ndarray, "B L"], steps: Float[np.ndarray, "B L"], counts: Int[np.ndarray, "B"], size: Int[np.ndarray, "B"]
) -> tuple[Int[np.ndarray, "B N"], Float[np.ndarray, "B N"], Float[np.ndarray, "B N"], Float[np.ndarray, "B N"]]:
    """Last points, mean values, mean steps and noise of single values of ``size`` blocks in a row, NaN-padded on the right.

    The noise is that around a straight line in each block, over the last quarter of the blocks up to each one, 8 at least.
    """
    origin, (mean, at, noise) = np.zeros((len(counts), size.max()), dtype=int), np.full((3, len(counts), size.max()), np.nan)
    for row, (count, n) in enumerate(zip(counts.tolist(), size.tolist(), strict=True)):
        edges = _edges(count) if n < count else np.arange(n + 1)
        length, y, t = np.diff(edges), values[row, :count], steps[row, :count]
        mean[row, :n], at[row, :n] = (np.add.reduceat(x, edges[:-1]) / length for x in (y, t))
        dy, dt = (x - np.repeat(means[row, :n], length) for x, means in ((y, mean), (t, at)))
        yy, tt, ty = (np.add.reduceat(x, edges[:-1]) for x in (dy * dy, dt * dt, dt * dy))
        left = np.stack([np.where(length > 2, yy - ty**2 / np.where(tt > 0, tt, 1.0), 0.0).clip(min=0), (length - 2).clip(min=0)]).cumsum(1)
        first = np.arange(n) - np.maximum(8, np.arange(1, n + 1) // 4)
        square, number = left - np.where(first >= 0, left[:, first.clip(min=0)], 0.0)
        noise[row, :n], origin[row, :n] = np.sqrt(square / np.maximum(number, 1)), edges[1:] - 1
    return origin, mean, at, noise


def _edges(count: int) -> Int[np.ndarray, "N"]:
    """Where the blocks of a long curve begin and the last one ends: of one point, then growing to equal ones, for curves begin steeply."""
    early = np.unique(np.geomspace(1, count / AVERAGED, 16).round().astype(int))
    return np.concatenate([[0], early, np.linspace(early[-1], count, AVERAGED + 1 - len(early)).round().astype(int)[1:]])


def _token_at(origin: Int[Tensor, "B L"], counts: Int[Tensor, "B"], cutoffs: Int[Tensor, "C"]) -> Int[Tensor, "B C"]:
    inside = torch.arange(origin.shape[1]) < counts[:, None]
    return ((origin[:, None, :] < cutoffs[:, None]) & inside[:, None, :]).sum(-1) - 1


def _noted(what: str, which: Bool[Tensor, "B"]) -> list[str]:
    rows = which.nonzero().flatten().tolist()
    return [f"curve {', '.join(map(str, rows[:5]))}{', ...' if len(rows) > 5 else ''}: {what}"] if rows else []


def model_steps(steps: Float[Tensor, "B ..."], curves: Curves) -> Float[Tensor, "B ..."]:
    """t = 100 * step / horizon of the user's steps; NaN stays."""
    horizon = curves.horizon.reshape(-1, *[1] * (steps.dim() - 1))
    if bool((horizon > 1e300).any()):  # lest 100 * step overflow
        less = torch.where(horizon > 1e300, 1e-10, 1.0).to(steps)
        return 100 * (steps * less) / (horizon * less)
    return 100 * steps / horizon
