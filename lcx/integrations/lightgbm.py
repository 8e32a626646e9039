"""LightGBM: a callback that stops a training which will not improve any more, or not beat others."""

import logging
from typing import Any

from lcx.integrations.boosting import Training
from lcx.stopping.rules import Verdict

try:
    from lightgbm import Booster, EarlyStopException  # pyright: ignore[reportMissingImports]
except ImportError as error:
    raise ImportError("expected the package lightgbm for this callback, got none; pip install 'lcx[lightgbm]'") from error

log = logging.getLogger("lcx")


class LCXCallback:
    """Stops ``lightgbm.train``, ``lightgbm.cv`` or the ``fit`` of an estimator, by prediction instead of patience.

    By default a training is stopped if no later round is likely to beat its own best round. With ``best`` or ``shared``, for a search over
    settings, it is stopped if it is unlikely to beat that value, or the other trainings in the folder. The horizon is the number of
    rounds, and LightGBM knows in which direction a metric is better.

        callback = LCXCallback()
        lightgbm.train(params, dtrain, 500, valid_sets=[dvalid], callbacks=[callback])
        print(callback.verdict.reason, callback.predicted_value)

    As with the early stopping of LightGBM, ``best_iteration`` and ``best_score`` of the model are those of the best round, whether stopped
    or not; predictions use the rounds up to it, and ``cv`` returns these. In dart mode, which changes earlier trees, no training is
    stopped. A new training starts afresh; a training continued with ``init_model`` goes on counting rounds.

    Args:
        data: name of the validation set; default: the first that is not the training set.
        metric: name of the metric; default: the first.
        every: read one round in ``every``; default: about 50 rounds are read, because a prediction takes about 0.02 s.
        options: see :class:`lcx.integrations.one_run.OneRun`.

    Attributes:
        verdict: the last verdict, with its reason; None before the first.
        predicted_value: the metric at the horizon as predicted after the last round read; report it to a search for a stopped training.

    Raises:
        ValueError, TypeError: an argument is wrong; in training, there is no such data set or metric.
    """

    def __init__(self, *, data: str | None = None, metric: str | None = None, every: int | None = None, **options: Any) -> None:
        self.order, self.before_iteration = 30, False  # as LightGBM's early stopping, after those that record; it reads no class attribute
        self._data, self._metric = data, metric
        self._settings: dict[str, Any] = {"every": every} | options
        self._horizon = self._settings.pop("horizon", None)
        if self._horizon is None and options.get("resource") == "time":
            raise ValueError("expected resource 'time' with a horizon in seconds, got none; give horizon=, or leave resource out")
        # Refuses a wrong argument now; each training makes its own.
        self._training = Training("metric", "max", 1 if self._horizon is None else self._horizon, **self._settings)
        self._best: list[Any] = []  # results of the best round
        self._off = False

    @property
    def verdict(self) -> Verdict | None:
        """The last verdict."""
        return self._training.verdict

    @property
    def predicted_value(self) -> float:
        """The predicted metric at the last round."""
        return self._training.predicted_value()

    def __call__(self, env: Any) -> None:
        """Decides after a round."""
        if env.iteration == env.begin_iteration:
            self._off = any(env.params.get(name) == "dart" for name in ("boosting", "boosting_type", "boost"))
            if self._off:
                log.warning("nothing is stopped in dart mode, where later rounds change earlier trees")
        if self._off:
            return
        name, value, mode = self._watched(env)
        step = env.iteration + 1
        if env.iteration == env.begin_iteration:
            last = env.end_iteration if self._horizon is None else self._horizon
            self._training = Training(name, mode, last, done=env.begin_iteration, **self._settings)
        stop = self._training.report(step, value)
        if self._training.best_round in (0, step):
            self._best = env.evaluation_result_list
        if stop or step == env.end_iteration:
            raise EarlyStopException((self._training.best_round or step) - 1, self._best)  # pyright: ignore[reportCallIssue]

    def _watched(self, env: Any) -> tuple[str, float, str]:
        """Name, value and mode of the metric to watch."""
        seen = env.evaluation_result_list or []
        training = env.model._train_data_name if isinstance(env.model, Booster) else "train"
        for data, metric, value, larger, *_ in seen:
            told = data == self._data if self._data is not None else data != training and not metric.startswith("train ")
            if told and self._metric in (None, metric):
                return f"{data}-{metric}", value, "max" if larger else "min"
        came = [f"{data} {metric}" for data, metric, *_ in seen]
        raise ValueError(f"expected {self._data or 'a validation set'} with {self._metric or 'a metric'}, got {came}; name another")
