"""Ray Tune tries six learning rates of a linear regression on scikit-learn's diabetes data; lcx stops the hopeless ones."""

import tempfile

import numpy as np
from ray import tune  # pyright: ignore[reportMissingImports]

from lcx.integrations.ray import LCXStopper

EPOCHS, RATES = 40, [0.3, 0.03, 0.003, 0.2, 0.01, 0.1]


def train(config: dict[str, float]) -> None:
    """Gradient descent; reports the error on held-out examples after each epoch."""
    from sklearn.datasets import load_diabetes

    x, y = (np.asarray(part) for part in load_diabetes(return_X_y=True))
    x, y, weights = x * len(x) ** 0.5, y - y.mean(), np.zeros(10)
    for _ in range(EPOCHS):
        weights = weights - config["rate"] * x[:300].T @ (x[:300] @ weights - y[:300]) / 300
        tune.report({"rmse": float(((x[300:] @ weights - y[300:]) ** 2).mean() ** 0.5)})


stop = LCXStopper(EPOCHS, "min", "rmse", bounds=(0, None), min_points=3)
with tempfile.TemporaryDirectory() as folder:
    setup = tune.RunConfig(stop=stop, storage_path=folder, verbose=0)
    # One at a time: else it depends on the machine who is first.
    one_by_one = tune.TuneConfig(metric="rmse", mode="min", max_concurrent_trials=1, reuse_actors=True)
    found = tune.Tuner(train, param_space={"rate": tune.grid_search(RATES)}, tune_config=one_by_one, run_config=setup).fit()
for trial in found:
    said = stop.reasons.get(trial.metrics["trial_id"], "finished")
    print(f"rate {trial.config['rate']}: {trial.metrics['training_iteration']} epochs, RMSE {trial.metrics['rmse']:.1f}: {said}")
spent = sum(trial.metrics["training_iteration"] for trial in found)
print(f"{spent} of {EPOCHS * len(RATES)} epochs trained; best RMSE {found.get_best_result().metrics['rmse']:.1f}")
