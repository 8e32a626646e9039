"""A Gaussian process over runs and steps: BoTorch's latent Kronecker GP (Lin et al. 2025, ICML; arXiv 2506.06895).

Its covariance is a product, k(run, run') k(step, step'), with missing values. Without hyperparameters a run is told from another by its
values at the first, middle and last step before the target's cut-off. All runs are read off on one grid, the target's steps thinned to
``GRID``, by linear interpolation; between the grid's steps the answer is interpolated too. Lengthscales, scale and noise are found by
maximum likelihood for each target anew; BoTorch's prior for lengthscales made no difference.

Needs ``pip install lcx[peers]``. A fit takes seconds, so few curves are asked for.
"""

import warnings

import numpy as np

from benchmarks.curves import RealCurve
from benchmarks.studies.ask import Law
from benchmarks.studies.questions import Run

GRID = 24
FARTHEST = 10.0  # values are clipped so many units from the target's last one: a run that diverged would set the scale
ROUNDS = 40  # of L-BFGS


def gaussian_process(curve: RealCurve, cut: int, others: list[Run]) -> Law:
    """See the top of this file."""
    grid, seen = grid_of(curve, cut)
    last = curve.values[cut - 1]
    values = np.stack([read_off(run, grid) for run in [(curve.steps[:cut], curve.values[:cut]), *others]])
    unit = np.nanmedian(np.nanmax(values, 1) - np.nanmin(values, 1)) or np.ptp(curve.values[:cut]) or max(abs(last), 1.0)
    y = np.clip((values - last) / unit, -FARTHEST, FARTHEST)
    features = np.stack([np.clip(fill(row)[[0, seen // 2, seen]], -FARTHEST, FARTHEST) for row in y])
    mean, sd = fitted(features / np.maximum(features.std(0), 1e-3), np.log(grid / grid[-1]), y)
    ahead = np.log(curve.steps[cut:] / grid[-1])
    loc, scale = (np.interp(ahead, np.log(grid / grid[-1]), x)[:, None] for x in (mean, sd))
    return Law(np.ones_like(loc), last + unit * loc, unit * scale)


def grid_of(curve: RealCurve, cut: int) -> tuple[np.ndarray, int]:
    """At most ``GRID`` of the target's steps, the last seen and the horizon among them, and the place of the last seen."""
    ahead = min(len(curve.steps) - cut, GRID // 2)
    before = np.unique(np.linspace(0, cut - 1, min(cut, GRID - ahead)).round().astype(int))
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
