"""A Bayesian peer that fits each curve by MCMC: DeepHyper's learning-curve regressor, as its ``LCModelStopper`` uses it.

Needs ``pip install jax numpyro scikit-learn`` and ``pip install --no-deps deephyper`` (0.13.2 was measured), best in an environment of its
own. A fit takes some four seconds, most of them compilation, which its regressor needs for every new number of points.
"""

import numpy as np

from benchmarks.forecasts.baselines import Answer, Bounds, as_normals

DRAWS = 100  # of the posterior's 1000, evenly spaced: the CRPS of a mixture takes all pairs


def deephyper(values: np.ndarray, steps: np.ndarray, ahead: np.ndarray, mode: str, bounds: Bounds) -> Answer:
    """A power law with normal prior and noise, by NUTS: at each later step a mixture of Normal(f_s, sigma_s²) over posterior draws s.

    Values are scaled to the observed range (its ``min_max_scaling``), steps so that the points seen have a mean spacing of one, as epochs
    have. Its own answers to "better than best?" leave out the noise; here it is put back, for the score is on noisy observations.
    """
    import jax  # pyright: ignore[reportMissingImports]
    from deephyper.stopper.lce import BayesianLearningCurveRegressor  # pyright: ignore[reportMissingImports]

    unit = steps[-1] / len(steps)
    regressor = BayesianLearningCurveRegressor(batch_size=len(values), min_max_scaling=True, random_state=0)
    regressor.fit(steps / unit, values)
    kept = slice(None, None, regressor.mcmc_num_samples // DRAWS)
    loc = np.asarray(regressor.predict_posterior_samples(ahead / unit), dtype=np.float64)[kept].T
    sigma = np.asarray(regressor.mcmc_.get_samples()["sigma"], dtype=np.float64)[kept]
    scale = np.broadcast_to(sigma * (regressor.y_max_ - regressor.y_min_), loc.shape)
    jax.clear_caches()  # compiled fits are not used again, and some 150 of them exhaust the memory maps a process may have
    return as_normals(loc, scale, values, bounds)
