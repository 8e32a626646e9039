"""A Gaussian process over runs and steps: BoTorch's latent Kronecker GP (Lin et al. 2025, ICML; arXiv 2506.06895).

Its covariance is a product, k(run, run') k(step, step'), with missing values. Without hyperparameters a run is told from another by its
values at the first, middle and last step before the target's cut-off. All runs are read off on one grid, the target's steps thinned to
``GRID``, by linear interpolation; between the grid's steps the answer is interpolated too. Lengthscales, scale and noise are found by
maximum likelihood for each target anew; BoTorch's prior for lengthscales made no difference.

Needs ``pip install lcx[peers]``. A fit takes seconds, so few curves are asked for.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from benchmarks.curves import RealCurve
from benchmarks.studies.ask import Law
from benchmarks.studies.questions import Run

GRID = 24
FARTHEST = 10.0  # values are clipped so many units from the target's last one: a run that diverged would set the scale
ROUNDS = 40  # of L-BFGS


@dataclass(frozen=True)
class Laid:
    """A target and its others on one grid of G steps, the target first.

    Attributes:
        grid: the steps, (G,), the last seen at place ``seen``.
        y: values (runs, G) less the target's last one, in units of the runs' median range; NaN where not known.
    """

    curve: RealCurve
    cut: int
    grid: np.ndarray
    seen: int
    y: np.ndarray
    unit: float

    @property
    def time(self) -> np.ndarray:
        """Logarithms of the grid's steps, 0 at the horizon."""
        return np.log(self.grid / self.grid[-1])

    def law(self, mean: np.ndarray, sd: np.ndarray) -> Law:
        """A normal law at the target's later steps from mean and sd on the grid."""
        ahead = np.log(self.curve.steps[self.cut :] / self.grid[-1])
        loc, scale = (np.interp(ahead, self.time, x)[:, None] for x in (mean, sd))
        return Law(np.ones_like(loc), self.curve.values[self.cut - 1] + self.unit * loc, self.unit * scale)


def laid_out(curve: RealCurve, cut: int, others: list[Run], points: int = GRID) -> Laid:
    """Reads all runs off on a grid of at most so many points."""
    grid, seen = grid_of(curve, cut, points)
    last = curve.values[cut - 1]
    values = np.stack([read_off(run, grid) for run in [(curve.steps[:cut], curve.values[:cut]), *others]])
    unit = np.nanmedian(np.nanmax(values, 1) - np.nanmin(values, 1)) or np.ptp(curve.values[:cut]) or max(abs(last), 1.0)
    return Laid(curve, cut, grid, seen, np.clip((values - last) / unit, -FARTHEST, FARTHEST), unit)


def gaussian_process(curve: RealCurve, cut: int, others: list[Run]) -> Law:
    """See the top of this file."""
    laid = laid_out(curve, cut, others)
    features = np.stack([np.clip(fill(row)[[0, laid.seen // 2, laid.seen]], -FARTHEST, FARTHEST) for row in laid.y])
    return laid.law(*fitted(features / np.maximum(features.std(0), 1e-3), laid.time, laid.y))


def grid_of(curve: RealCurve, cut: int, points: int) -> tuple[np.ndarray, int]:
    """At most so many of the target's steps, the last seen and the horizon among them, and the place of the last seen."""
    ahead = min(len(curve.steps) - cut, points // 2)
    before = np.unique(np.linspace(0, cut - 1, min(cut, points - ahead)).round().astype(int))
    after = np.unique(np.linspace(cut, len(curve.steps) - 1, ahead).round().astype(int))
    return curve.steps[np.concatenate([before, after])], len(before) - 1


def read_off(run: Run, grid: np.ndarray) -> np.ndarray:
    """A run's values at the grid's steps; NaN before its first and after its last."""
    return np.interp(grid, *run, left=np.nan, right=np.nan)


def fill(row: np.ndarray) -> np.ndarray:
    """Missing values by the nearest known one; 0, the target's last value, if there is none."""
    known = ~np.isnan(row)
    return np.interp(np.arange(len(row)), np.flatnonzero(known), row[known]) if known.any() else np.zeros_like(row)


def fitted(features: np.ndarray, steps: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd of the noisy values of the first run at all steps."""
    import torch
    from botorch.fit import fit_gpytorch_mll  # pyright: ignore[reportMissingImports]
    from botorch.models.latent_kronecker_gp import LatentKroneckerGP  # pyright: ignore[reportMissingImports]
    from gpytorch.mlls import ExactMarginalLogLikelihood  # pyright: ignore[reportMissingImports]

    middle, unit = np.nanmean(y), np.nanstd(y) or 1.0  # standardised here: mean and variance of a posterior leave an outcome transform out
    x, t, values = (torch.from_numpy(np.ascontiguousarray(a, dtype=float)) for a in (features, steps[:, None], (y - middle) / unit))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence; what matters is the score
        model = LatentKroneckerGP(x, t, values, outcome_transform=None)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs={"options": {"maxiter": ROUNDS}})
        with torch.no_grad():
            found = model.posterior(x[:1], t)
            sd = (found.variance.flatten().clamp(min=0) + model.likelihood.noise).sqrt()
            return middle + unit * found.mean.flatten().numpy(), unit * sd.numpy()
