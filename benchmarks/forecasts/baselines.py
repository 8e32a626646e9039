"""Simple rivals on one partial curve: last value, random walk, least-squares fits, Theta, ETS; each answers with normals.

A rival is a function ``(values, steps, ahead, mode, bounds) -> Answer``: the points seen so far (values in the user's unit, steps > 0
rising), the later steps to predict, the last of which is the horizon, and what else a user would know. None needs ``mode``: all are
symmetric under a change of sign. The random walk, Theta and ETS count points and take the later steps for the next points of the curve.
Locations are clipped into the bounds; nothing else is truncated. A rival that cannot fit (too few points, no convergence) answers with the
last value, as a point mass.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.special import expit

Bounds = tuple[float | None, float | None]


@dataclass(frozen=True)
class Answer:
    """At each of A later steps an equal-weight mixture of K normals, user's unit; a scale of 0 is a point mass."""

    loc: np.ndarray  # (A, K)
    scale: np.ndarray  # (A, K)


Rival = Callable[[np.ndarray, np.ndarray, np.ndarray, str, Bounds], Answer]


def last_value(values: np.ndarray, steps: np.ndarray, ahead: np.ndarray, mode: str, bounds: Bounds) -> Answer:
    """The last value seen, for certain."""
    return as_normals(np.full(len(ahead), values[-1]), 0.0, values, bounds)


def random_walk(values: np.ndarray, steps: np.ndarray, ahead: np.ndarray, mode: str, bounds: Bounds) -> Answer:
    """A driftless Gaussian walk from the last value: the j-th later point has sd sqrt(j) times the root mean square increment."""
    each = np.sqrt(np.mean(np.diff(values) ** 2))
    return as_normals(np.full(len(ahead), values[-1]), each * np.sqrt(1 + np.arange(len(ahead))), values, bounds)


def fit(family: str, values: np.ndarray, steps: np.ndarray, ahead: np.ndarray, mode: str, bounds: Bounds) -> Answer:
    """Least squares of one family of :data:`FAMILIES`, with the residuals' sd as noise."""
    found = _found(family, values, steps, ahead)
    if found is None:
        return last_value(values, steps, ahead, mode, bounds)
    return as_normals(found.curve(ahead), found.sd, values, bounds)


def best_fit(values: np.ndarray, steps: np.ndarray, ahead: np.ndarray, mode: str, bounds: Bounds) -> Answer:
    """Of pow3, pow4 and mmf the fit with the smallest residual sd (degrees of freedom counted)."""
    fits = {family: _found(family, values, steps, ahead) for family in ("pow3", "pow4", "mmf")}
    sds = {family: found.sd for family, found in fits.items() if found is not None}
    return fit(min(sds, key=lambda family: sds[family]) if sds else "pow3", values, steps, ahead, mode, bounds)


def ensemble(values: np.ndarray, steps: np.ndarray, ahead: np.ndarray, mode: str, bounds: Bounds) -> Answer:
    """All families' fits, mixed with equal weights."""
    answers = [fit(family, values, steps, ahead, mode, bounds) for family in FAMILIES]
    return Answer(np.hstack([a.loc for a in answers]), np.hstack([a.scale for a in answers]))


def theta(values: np.ndarray, steps: np.ndarray, ahead: np.ndarray, mode: str, bounds: Bounds) -> Answer:
    """The Theta method (Assimakopoulos & Nikolopoulos 2000) with statsmodels' normal prediction intervals."""
    from statsmodels.tsa.forecasting.theta import ThetaModel

    low, width = values.min(), np.ptp(values)
    if len(values) < 4 or width == 0:
        return last_value(values, steps, ahead, mode, bounds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence; what matters is the score
        try:
            found: Any = ThetaModel((values - low) / width, period=1, deseasonalize=False).fit()
            mean = np.asarray(found.forecast(len(ahead)))
            edges = np.asarray(found.prediction_intervals(len(ahead), alpha=0.05))
        except (ValueError, np.linalg.LinAlgError):
            return last_value(values, steps, ahead, mode, bounds)
    sd = (edges[:, 1] - edges[:, 0]) / (2 * 1.959963984540054)
    return as_normals(low + width * mean, width * sd, values, bounds)


def ets(values: np.ndarray, steps: np.ndarray, ahead: np.ndarray, mode: str, bounds: Bounds) -> Answer:
    """Exponential smoothing with additive errors and a damped additive trend (Hyndman et al. 2008), its exact forecast variance."""
    from pandas import Series
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    n, low, width = len(values), values.min(), np.ptp(values)
    if n < 4 or width == 0:
        return last_value(values, steps, ahead, mode, bounds)
    y = (values - low) / width
    # statsmodels' own initial states need ten points.
    start = {} if n >= 10 else {"initialization_method": "known", "initial_level": y[0], "initial_trend": y[1] - y[0]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence; what matters is the score
        try:
            found: Any = ETSModel(Series(y), error="add", trend="add", damped_trend=True, **start).fit(disp=False)
            forecast = found.get_prediction(start=n, end=n + len(ahead) - 1)
            mean, variance = np.asarray(forecast.predicted_mean), np.asarray(forecast.forecast_variance)
        except (ValueError, np.linalg.LinAlgError):
            return last_value(values, steps, ahead, mode, bounds)
    return as_normals(low + width * mean, width * np.sqrt(np.maximum(variance, 0)), values, bounds)


class _Family(NamedTuple):
    """Curves c + a g(log x; p), x = step / horizon in (0, 1]; p are found by search, c and a by linear regression."""

    shape: Callable[..., np.ndarray]  # (log x, *p) -> g
    lower: tuple[float, ...]
    upper: tuple[float, ...]


def _m4(log_x: np.ndarray, log_c: float, middle: float, log_alpha: float) -> np.ndarray:
    """The share u of the error that is left: u / (1 - u)^alpha = (x / x_middle)^-c, solved by Newton for the logit of u.

    With y = y_inf + (y_0 - y_inf) u this is (y - y_inf) / (y_0 - y)^alpha = beta t^-c (Alabdulmohsin et al. 2022, arXiv 2209.06640, M4).
    log u - alpha log(1 - u) is monotone and of one curvature in the logit, so Newton converges from everywhere.
    """
    alpha, target = np.exp(log_alpha), np.exp(log_c) * (middle - log_x)
    w = np.where(target < 0, target, target / alpha)
    for _ in range(50):
        change = (alpha * np.logaddexp(0, w) - np.logaddexp(0, -w) - target) / (expit(-w) + alpha * expit(w))
        w = w - change
        if np.abs(change).max() < 1e-12:
            break
    return expit(w)


# Exponents by their logarithm, from all but linear in log t to all but a step; middles in log x, from before the first point of any curve
# here to 20 times the horizon. pow4's shift is in units of the horizon.
FAMILIES: dict[str, _Family] = {
    "pow3": _Family(lambda log_x, log_alpha: _power(log_x, log_alpha), (-4.0,), (2.0,)),
    "pow4": _Family(lambda log_x, log_alpha, log_b: _power(np.logaddexp(log_x, log_b), log_alpha), (-4.0, -12.0), (4.0, 3.0)),
    "mmf": _Family(lambda log_x, log_d, middle: expit(np.exp(log_d) * (log_x - middle)), (-3.0, -12.0), (2.5, 3.0)),
    "janoschek": _Family(lambda log_x, log_d, middle: np.exp(-np.exp(np.exp(log_d) * (log_x - middle))), (-3.0, -12.0), (2.5, 3.0)),
    "m4": _Family(_m4, (-3.0, -12.0, -3.0), (2.5, 3.0, 3.0)),
}


def _power(log_z: np.ndarray, log_alpha: float) -> np.ndarray:
    """z^-alpha, relative to the first point's so that it neither overflows nor vanishes."""
    return np.exp(np.exp(log_alpha) * (log_z[0] - log_z))


class _Fit(NamedTuple):
    curve: Callable[[np.ndarray], np.ndarray]  # steps -> values, user's units
    sd: float


def _found(family: str, values: np.ndarray, steps: np.ndarray, ahead: np.ndarray) -> _Fit | None:
    """The fit; kept, for single fits, best of three and the ensemble ask for the same ones."""
    return _least_squares(family, values.astype(float).tobytes(), steps.astype(float).tobytes(), float(ahead[-1]))


@lru_cache(maxsize=100_000)
def _least_squares(family: str, values: bytes, steps: bytes, horizon: float) -> _Fit | None:
    """The best of two searches from the best points of a coarse grid; None with no more points than parameters, or no variation."""
    y, log_x = np.frombuffer(values), np.log(np.frombuffer(steps) / horizon)
    shape, lower, upper = FAMILIES[family]
    free, low, width = len(y) - len(lower) - 2, y.min(), np.ptp(y)
    if free < 1 or width == 0:
        return None
    v = (y - low) / width

    def residual(p: np.ndarray) -> np.ndarray:
        g = shape(log_x, *p)
        c, a = _regress(g, v)
        return v - c - a * g

    points = 12 if len(lower) == 1 else 6 if len(lower) == 2 else 4
    axes = [np.linspace(a, b, points + 2)[1:-1] for a, b in zip(lower, upper, strict=True)]
    starts = sorted(product(*axes), key=lambda p: float((residual(np.array(p)) ** 2).sum()))[:2]
    found = min((least_squares(residual, p, bounds=(lower, upper), max_nfev=100) for p in starts), key=lambda result: result.cost)
    c, a = _regress(shape(log_x, *found.x), v)

    def curve(later: np.ndarray) -> np.ndarray:
        return low + width * (c + a * shape(np.append(log_x[0], np.log(later / horizon)), *found.x)[1:])

    return _Fit(curve, width * float(np.sqrt(2 * found.cost / free)))


def forget() -> None:
    """Drops the fits that are kept, for a timing that is to count them."""
    _least_squares.cache_clear()


def _regress(g: np.ndarray, v: np.ndarray) -> tuple[float, float]:
    """Intercept and slope of the regression of v on g."""
    deviation = g - g.mean()
    square = deviation @ deviation
    slope = deviation @ v / square if square > 1e-24 else 0.0
    return float(v.mean() - slope * g.mean()), float(slope)


def as_normals(loc: np.ndarray, scale: np.ndarray | float, values: np.ndarray, bounds: Bounds) -> Answer:
    """Normals at (A,) or (A, K) locations, clipped into the bounds; the last value where a forecast has left the numbers."""
    lower, upper = bounds
    loc, scale = (x if x.ndim == 2 else x[:, None] for x in np.broadcast_arrays(loc, scale))
    good = np.isfinite(loc) & np.isfinite(scale)
    loc = np.clip(np.where(good, loc, values[-1]), -np.inf if lower is None else lower, np.inf if upper is None else upper)
    return Answer(loc, np.where(good, scale, 0.0))


SIMPLE: dict[str, Rival] = {"last-value": last_value, "random-walk": random_walk, "best-of-three": best_fit}  # what lcx has to beat
RIVALS: dict[str, Rival] = {
    **SIMPLE,
    **{family: partial(fit, family) for family in FAMILIES},
    "ensemble": ensemble,
    "theta": theta,
    "ets": ets,
}
