"""A small model of time series: fracast 0.1.0, 85,001 parameters, whose weights lie in its wheel (``pip install fracast``).

It counts points, so the later steps are the next points of the curve; it asks for eight points at least and forecasts 48 at once, beyond
which it goes on from its own medians. It answers with the nine deciles. Between two of them the law here is a normal with the mean and the
variance of their even spread, beyond the first and the last one with those of the tail of a normal that has this decile and the median.
"""

from functools import cache
from typing import Any

import numpy as np
from scipy.stats import norm

from benchmarks.forecasts.baselines import Answer, Bounds, as_normals

LEAST = 8
EDGE = norm.ppf(0.9)
TAIL = norm.pdf(EDGE) / 0.1  # mean of a standard normal above its last decile
TAIL_SD = np.sqrt(1 + EDGE * TAIL - TAIL**2)


def fracast(values: np.ndarray, steps: np.ndarray, ahead: np.ndarray, mode: str, bounds: Bounds) -> Answer:
    """See the top of this file."""
    low, width = values.min(), np.ptp(values) or 1.0  # its float32 would round a small change of a large value
    loc, scale = cells(deciles((values - low) / width, len(ahead)))
    return as_normals(low + width * loc, width * scale, values, bounds)


def deciles(values: np.ndarray, count: int) -> np.ndarray:
    """The model's, rising, at the next points, (count, 9)."""
    return np.sort(_model().forecast(values, horizon=count).astype(float), 1)


def cells(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and sds of the ten equally likely cells of deciles (A, 9), each (A, 10)."""
    middle, outer = levels[:, 4:5], np.abs(levels[:, [0, -1]] - levels[:, 4:5]) / EDGE
    low, high = outer[:, :1], outer[:, 1:]
    loc = np.hstack([middle - TAIL * low, (levels[:, 1:] + levels[:, :-1]) / 2, middle + TAIL * high])
    return loc, np.hstack([TAIL_SD * low, np.diff(levels, axis=1) / np.sqrt(12), TAIL_SD * high])


@cache
def _model() -> Any:
    from fracast import FracastModel  # pyright: ignore[reportMissingImports]

    return FracastModel.from_pretrained(weights="fp32")
