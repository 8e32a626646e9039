"""What a forecast of a real curve is worth: how it is asked for and scored, everywhere in benchmarks/.

A curve (benchmarks/curves.py) is cut at a share of its points, at least two, and the forecast answers for all its later points. Per curve:
CRPS and absolute error of the median, both means over the later points divided by the curve's width (2-98 % quantile range) and capped
at 5; log score, mean log density of y / width, with every component's sd no less than 1e-4 widths and the curve's mean no less than -10,
so that certain answers keep finite scores; share of later points inside the central 50, 80 and 90 % intervals; absolute error of the final
value. Means over curves, sources or tasks with their intervals are in benchmarks/intervals.py.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from tqdm.auto import tqdm

import lcx
from benchmarks.curves import RealCurve
from lcx.extrapolation import Extrapolation

METRICS = ("crps", "error", "final", "log_score")
LEVELS = (0.5, 0.8, 0.9)  # of the intervals whose coverage is counted
CAP, FLOOR, SD_FLOOR = 5.0, -10.0, 1e-4


def question(curves: list[RealCurve], share: float) -> dict[str, Any]:
    """A source's curves cut at a share, as a user would ask for the rest."""
    cuts = [curve.cut(share) for curve in curves]
    return {
        "values": [curve.values[:k] for curve, k in zip(curves, cuts, strict=True)],
        "steps": [curve.steps[:k] for curve, k in zip(curves, cuts, strict=True)],
        "at": [curve.steps[k:] for curve, k in zip(curves, cuts, strict=True)],
        "horizon": [curve.steps[-1] for curve in curves],
        "mode": curves[0].mode,
        "bounds": curves[0].bounds,
    }


def ask_model(model: lcx.Extrapolator, curves: list[RealCurve], share: float, bar: tqdm | None) -> Extrapolation:
    """A model's answer, all curves in one call."""
    answer = model(**question(curves, share))
    if bar is not None:
        bar.update(len(curves))
    return answer


def score(answer: Extrapolation, curves: list[RealCurve], share: float) -> dict[str, np.ndarray]:
    """Scores per curve (B,), coverage (B, levels); see the top of this file."""
    later, width = truth(curves, share), np.array([[curve.width] for curve in curves])
    crps, median, below = answer.crps(later), answer.median, answer.cdf(later)
    for name, x in {"CRPS": crps, "median": median, "cdf": below}.items():
        if (np.isnan(x) & ~np.isnan(later)).any():
            where = np.argwhere(np.isnan(x) & ~np.isnan(later))[0]
            raise ValueError(f"expected a number at every later point, got {name} NaN for curve {where[0]}, later point {where[1]}")
    error = np.abs(median - later) / width
    last = (~np.isnan(later)).sum(1) - 1
    inside = np.stack([np.where(np.isnan(later), np.nan, np.abs(below - 0.5) <= level / 2) for level in LEVELS], -1)
    return {
        "crps": capped(crps / width),
        "error": capped(error),
        "log_score": np.maximum(np.nanmean(log_density(answer, later, width), 1), FLOOR),
        "covered": np.nanmean(inside, 1),
        "final": np.minimum(np.take_along_axis(error, last[:, None], 1)[:, 0], CAP),
    }


def capped(x: Float[np.ndarray, "B A"]) -> Float[np.ndarray, "B"]:
    """Mean over a curve's later points, no more than the cap: one curve in a thousand leaves the numbers a prior could know of."""
    return np.minimum(np.nanmean(x, 1), CAP)


def log_density(answer: Extrapolation, later: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Log density of y / width, (B, A), with the floor under every component's sd."""
    law = answer.predictive
    least = torch.from_numpy(SD_FLOOR * width)[..., None]
    if law.warp is not None:  # a sd of u is one of y times du/dy
        spread = replace(law.warp, center=law.warp.center[..., None], scale=law.warp.scale[..., None])
        least = least * torch.exp(spread.log_slope(spread.inverse(law.loc)))
    floored = replace(answer, predictive=replace(law, scale=torch.maximum(law.scale, least)))
    return floored.log_prob(later) + np.log(width)


def truth(curves: list[RealCurve], share: float) -> Float[np.ndarray, "B A"]:
    """What came after the cut, NaN padded."""
    rest = [curve.values[curve.cut(share) :] for curve in curves]
    out = np.full((len(rest), max(map(len, rest))), np.nan)
    for row, values in zip(out, rest, strict=True):
        row[: len(values)] = values
    return out


def rounded(x: np.ndarray) -> Any:
    """Nested lists of four significant digits."""
    return [rounded(row) for row in x] if x.ndim > 1 else [float(f"{value:.4g}") for value in x]
