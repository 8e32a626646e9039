"""XGBoost on scikit-learn's diabetes data at three learning rates: each training stops when it is past its best, without a patience."""

import xgboost  # pyright: ignore[reportMissingImports]
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from lcx.integrations.xgboost import LCXCallback

x_train, x_valid, y_train, y_valid = train_test_split(*load_diabetes(return_X_y=True), random_state=0)
train, valid = xgboost.DMatrix(x_train, y_train), xgboost.DMatrix(x_valid, y_valid)
for rate in (0.03, 0.1, 0.3):
    callback = LCXCallback(300, "min", bounds=(0, None))
    settings = {"eta": rate, "max_depth": 4, "nthread": 1}
    model = xgboost.train(settings, train, 300, evals=[(valid, "valid")], verbose_eval=False, callbacks=[callback])
    print(f"rate {rate}: {model.num_boosted_rounds()} of 300 rounds, best RMSE {model.best_score:.3f} in round {model.best_iteration + 1}")
    if callback.verdict is not None and callback.verdict.stop:
        print(f"  {callback.verdict.reason}; at round 300 it would be about {callback.predicted_value:.3f}")
