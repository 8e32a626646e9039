"""A Bayesian peer that fits each curve by MCMC: DeepHyper's learning-curve regressor, on its own and inside its ``LCModelStopper``.

Needs ``pip install 'lcx[peers]'`` (DeepHyper 0.13.2 was measured), best in an environment of its own. A fit takes seconds, most of them
compilation.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.forecasts.baselines import Answer, Bounds, as_normals

DRAWS = 100  # of the posterior's 1000, evenly spaced: the CRPS of a mixture takes all pairs


def deephyper(values: np.ndarray, steps: np.ndarray, ahead: np.ndarray, mode: str, bounds: Bounds) -> Answer:
    """A power law with normal prior and noise, by NUTS: at each later step a mixture of Normal(f_s, sigma_s²) over posterior draws s.

    Values are scaled to the observed range (its ``min_max_scaling``), steps so that the points seen have a mean spacing of one, as epochs
    have. Its own answers to "better than best?" leave out the noise; here it is put back, for the score is on noisy observations.
    """
    from deephyper.stopper.lce import BayesianLearningCurveRegressor  # pyright: ignore[reportMissingImports]

    unit = steps[-1] / len(steps)
    regressor = BayesianLearningCurveRegressor(batch_size=len(values), min_max_scaling=True, random_state=0)
    regressor.fit(steps / unit, values)
    return as_normals(*draws(regressor, ahead / unit), values, bounds)


def stopper(values: np.ndarray, steps: np.ndarray, ahead: np.ndarray, mode: str, bounds: Bounds) -> Answer:
    """The model by which ``LCModelStopper`` with its defaults decides after these points: mmf of four parameters, values not scaled.

    It maximises, so a loss is negated. All points are told before it is asked once: asked after every point, as in a search, it would go on
    fitting the number of points of its first fit, 4. Patience is switched off, for it would stop a run before the model is fitted.

    Source: deephyper/stopper/_lcmodel_stopper.py and lce/_bayesian_regression.py of 0.13.2.
    """
    from deephyper.evaluator.storage import MemoryStorage  # pyright: ignore[reportMissingImports]
    from deephyper.stopper import LCModelStopper  # pyright: ignore[reportMissingImports]

    sign, unit, storage = 1.0 if mode == "max" else -1.0, steps[-1] / len(steps), MemoryStorage()
    asked = LCModelStopper(max_steps=int(np.ceil(ahead[-1] / unit)), early_stopping_patience=len(values), random_state=0)
    asked.job = SimpleNamespace(id=storage.create_new_job(storage.create_new_search()), storage=storage)
    for step, value in zip(steps / unit, sign * values, strict=True):
        asked.observe(float(step), float(value))
    asked.stop()
    loc, scale = draws(asked.lc_model, ahead / unit)
    return as_normals(sign * loc, scale, values, bounds)


def draws(regressor: Any, ahead: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Curves and noise of some of the posterior's draws at later steps, (A, draws) each."""
    import jax  # pyright: ignore[reportMissingImports]

    kept = slice(None, None, regressor.mcmc_num_samples // DRAWS)
    loc = np.asarray(regressor.predict_posterior_samples(ahead), dtype=np.float64)[kept].T
    sigma = np.asarray(regressor.mcmc_.get_samples()["sigma"], dtype=np.float64)[kept]
    jax.clear_caches()  # compiled fits are not used again, and some 150 of them exhaust the memory maps a process may have
    return loc, np.broadcast_to(sigma * (regressor.y_max_ - regressor.y_min_), loc.shape)
