"""The usual forms of scaling laws, by least squares of log y from several starts; noise of log y as large as the residuals.

M1 to M4: Alabdulmohsin, Neyshabur and Zhai (NeurIPS 2022). BNSL: Caballero et al., "Broken Neural Scaling Laws" (ICLR 2023), one break.
Sizes are in units of the last one seen and losses of the last one there, so that starts and boxes below suit any curve.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.optimize import least_squares

from benchmarks.forecasts.baselines import FAMILIES

Curve = Callable[..., np.ndarray]  # (log size, *parameters) -> log loss


@dataclass(frozen=True)
class Law:
    """One form, with the box of its parameters and what the search starts from, every combination.

    Attributes:
        curve: log loss at log sizes.
        lower, upper: limits of the parameters.
        starts: values to begin with, for each parameter.
    """

    curve: Curve
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    starts: tuple[tuple[float, ...], ...]


def _broken(log_x: np.ndarray, floor: float, level: float, slope: float, change: float, at: float, log_width: float) -> np.ndarray:
    width = np.exp(log_width)
    return np.logaddexp(floor, level - slope * log_x - change * width * np.logaddexp(0, (log_x - at) / width))


def _m4(log_x: np.ndarray, floor: float, room: float, log_c: float, middle: float, log_alpha: float) -> np.ndarray:
    return np.logaddexp(floor, room + np.log(FAMILIES["m4"].shape(log_x, log_c, middle, log_alpha).clip(1e-300)))


# Floors are logarithms of shares of the last loss: from next to nothing to a little above it.
FLOORS = (-3.0, -0.7, -0.1)
LAWS = {
    # y = b x^-c
    "M1": Law(lambda x, b, c: b - c * x, (-5, -5), (5, 20), ((0,), (0.3,))),
    # y = e + b x^-c
    "M2": Law(lambda x, e, b, c: np.logaddexp(e, b - c * x), (-12, -20, -5), (0.5, 5, 20), (FLOORS, (-0.5, -2), (0.2, 0.7))),
    # y = b (1/x + g)^c
    "M3": Law(lambda x, b, g, c: b + c * np.logaddexp(-x, g), (-20, -12, -5), (20, 5, 20), ((0,), (-3, -1, 1), (0.3, 1))),
    # (y - e) / (e0 - y)^a = b x^-c
    "M4": Law(
        _m4,
        (-12, -12, -4, -30, -4),
        (0.5, 6, 3, 10, 4),
        (FLOORS, (0.5,), (-0.7,), (-4, -1), (0,)),
    ),
    # y = e + b x^-c0 (1 + (x / d)^(1 / f))^(-c1 f)
    "BNSL": Law(
        _broken,
        (-12, -20, -5, -5, -15, -4),
        (0.5, 5, 20, 20, 3, 2),
        (FLOORS, (-0.5,), (0.3,), (-0.2, 0.4), (-3, -1), (-1,)),
    ),
}


def fitted(law: Law, steps: np.ndarray, values: np.ndarray, ahead: np.ndarray) -> tuple[np.ndarray, float]:
    """Log loss at the sizes ``ahead``, and the residuals' standard deviation, degrees of freedom counted (one at least)."""
    log_x, log_y = np.log(steps / steps[-1]), np.log(values / values[-1])
    found = [
        least_squares(lambda p: law.curve(log_x, *p) - log_y, start, bounds=(law.lower, law.upper), x_scale="jac", max_nfev=300)
        for start in product(*law.starts)
    ]
    best = min(found, key=lambda one: one.cost)
    sd = np.sqrt(2 * best.cost / max(1, len(steps) - len(law.lower)))
    return np.log(values[-1]) + law.curve(np.log(ahead / steps[-1]), *best.x), float(sd)
