"""LightGBM on scikit-learn's diabetes data at three learning rates: each training stops when it is past its best, without a patience."""

import lightgbm  # pyright: ignore[reportMissingImports]
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from lcx.integrations.lightgbm import LCXCallback

x_train, x_valid, y_train, y_valid = train_test_split(*load_diabetes(return_X_y=True), random_state=0)
for rate in (0.03, 0.1, 0.3):
    callback, values = LCXCallback(bounds=(0, None)), {}
    train = lightgbm.Dataset(x_train, y_train)
    valid = lightgbm.Dataset(x_valid, y_valid, reference=train)
    settings = {"metric": "rmse", "learning_rate": rate, "num_threads": 1, "seed": 0, "verbose": -1}
    called = [callback, lightgbm.record_evaluation(values)]
    model = lightgbm.train(settings, train, 300, valid_sets=[valid], valid_names=["valid"], callbacks=called)
    rounds = len(values["valid"]["rmse"])
    print(f"rate {rate}: {rounds} of 300 rounds, best RMSE {model.best_score['valid']['rmse']:.3f} in round {model.best_iteration}")
    if callback.verdict is not None and callback.verdict.stop:
        print(f"  {callback.verdict.reason}; at round 300 it would be about {callback.predicted_value:.3f}")
