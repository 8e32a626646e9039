"""XGBoost: a callback that stops a training which will not improve any more, or not beat others."""

import json
import logging
from typing import Any

from lcx.integrations.boosting import Training
from lcx.stopping.rules import Verdict

try:
    from xgboost.callback import TrainingCallback  # pyright: ignore[reportMissingImports]
except ImportError as error:
    raise ImportError("expected the package xgboost or xgboost-cpu for this callback, got none; pip install 'lcx[xgboost]'") from error

log = logging.getLogger("lcx")


class LCXCallback(TrainingCallback):
    """Stops ``xgboost.train``, ``xgboost.cv`` or the ``fit`` of an estimator, by prediction instead of patience.

    By default a training is stopped if no later round is likely to beat its own best round. With ``best`` or ``shared``, for a search over
    settings, it is stopped if it is unlikely to beat that value, or the other trainings in the folder.

        callback = LCXCallback(500, "min", data="valid")
        xgboost.train(params, dtrain, 500, evals=[(dvalid, "valid")], callbacks=[callback])
        print(callback.verdict.reason, callback.predicted_value)

    As with the early stopping of XGBoost, ``best_iteration`` and ``best_score`` of the model are those of the best round, predictions of
    estimators use the rounds up to it, and ``cv`` returns these. In distributed training every worker decides for itself, from the same
    values; do not use ``shared`` there. With the booster dart, which changes earlier trees, no training is stopped. A new training starts
    afresh; a training continued with ``xgb_model`` goes on counting rounds.

    Args:
        horizon: rounds of a full training, with the earlier ones of a continued training; XGBoost does not tell its callbacks.
        mode: "max" if larger is better, "min" if smaller is; XGBoost does not tell its callbacks.
        data: name of the data set in ``evals``; default: the last.
        metric: name of the metric; default: the last.
        every: read one round in ``every``; default: about 50 rounds are read, because a prediction takes about 0.02 s.
        options: see :class:`lcx.integrations.one_run.OneRun`.

    Attributes:
        verdict: the last verdict, with its reason; None before the first.
        predicted_value: the metric at the horizon as predicted after the last round read; report it to a search for a stopped training.

    Raises:
        ValueError, TypeError: an argument is wrong; in training, there is no such data set or metric.
    """

    def __init__(
        self, horizon: int, mode: str, *, data: str | None = None, metric: str | None = None, every: int | None = None, **options: Any
    ) -> None:
        super().__init__()
        self._data, self._metric = data, metric
        self._settings: dict[str, Any] = {"horizon": horizon, "mode": mode, "every": every} | options
        self._training = Training("metric", **self._settings)  # refuses a wrong argument now; each training makes its own
        self._done, self._begun, self._off = 0, False, False

    @property
    def verdict(self) -> Verdict | None:
        """The last verdict."""
        return self._training.verdict

    @property
    def predicted_value(self) -> float:
        """The predicted metric at the horizon."""
        return self._training.predicted_value()

    def before_training(self, model: Any) -> Any:
        """Forgets the last training."""
        self._done, self._begun, self._off = model.num_boosted_rounds(), False, _is_dart(model)
        if self._off:
            log.warning("nothing is stopped with the booster dart, where later rounds change earlier trees")
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: dict[str, dict[str, list[Any]]]) -> bool:
        """Decides after a round."""
        if self._off:
            return False
        data = _chosen(self._data, evals_log, "data set")
        metric = _chosen(self._metric, evals_log[data], "metric")
        if not self._begun:
            self._training, self._begun = Training(f"{data}-{metric}", done=self._done, **self._settings), True
        value = evals_log[data][metric][-1]
        step = self._done + epoch + 1
        stop = self._training.report(step, value[0] if isinstance(value, tuple) else value)  # of cv: mean and standard deviation
        if self._training.best_round == step:
            # Of cv, XGBoost needs it where a callback stops.
            model.set_attr(best_score=str(self._training.best_value), best_iteration=str(step - 1))
        return stop


def _is_dart(model: Any) -> bool:
    """Whether the booster is dart, also of ``cv``, which packs several."""
    booster = model.cvfolds[0].bst if hasattr(model, "cvfolds") else model
    return json.loads(booster.save_config())["learner"]["gradient_booster"]["name"] == "dart"


def _chosen(name: str | None, among: dict[str, Any], what: str) -> str:
    names = list(among)
    if not names or (name is not None and name not in names):
        raise ValueError(f"expected a {what} {name or ''} to watch, got {names}; name one of them, or give evals= or eval_set=")
    return names[-1] if name is None else name
