"""Ray Tune: a Stopper, and a scheduler that reads metric and mode from ``TuneConfig``."""

import logging
import math
from functools import reduce
from typing import Any

from lcx.stopping.intake import as_count, as_horizon, from_one
from lcx.stopping.rules import Verdict, unasked
from lcx.stopping.stopper import EarlyStopper

try:
    from ray.tune import Stopper  # pyright: ignore[reportMissingImports]
    from ray.tune.schedulers import FIFOScheduler  # pyright: ignore[reportMissingImports]
except ImportError as error:
    raise ImportError("expected the package ray with Tune for these classes, got none; pip install 'lcx[ray]'") from error

log = logging.getLogger("lcx")


class LCXStopper(Stopper):
    """Stops a trial if it is unlikely to beat the best value that any other trial has reported.

        stop = LCXStopper(50, "max", "accuracy", bounds=(0, 1))
        Tuner(train, run_config=RunConfig(stop=stop), ...).fit()
        print(stop.reasons)

    You can combine it with other stoppers in a ``CombinedStopper``, and use it with any scheduler. Ray saves its curves with the
    experiment, so they are there after ``Tuner.restore``. It runs in the driver, which predicts one trial after the other: if many trials
    report more often than every few seconds, give ``every``.

    Args:
        horizon: last value of ``time_attr`` in a full trial, or a function that gives it for a trial by its first result, which has the
            settings of the trial: ``lambda result: result["config"]["epochs"]``.
        mode: "max" if larger is better, "min" if smaller is.
        metric: key of the results; parts of a nested key are joined by "/".
        time_attr: key of the step; if a trial's first step is 0, 1 is added to its steps. With "time_total_s" the horizon is in seconds.
        every: predict only at every ``every``-th result of a trial; the values in between are kept.
        options: delta, false_stops, control, bounds, model, min_points, confirm, rule, stop_on_divergence, min_finished of
            ``lcx.EarlyStopper``.

    Attributes:
        metric: as given.
        reasons: why each trial was stopped, by trial id.
        stopper: the ``EarlyStopper``; its runs are the trial ids. ``stopper.ignore(trial_id)`` leaves an anomalous trial out.

    Raises:
        ValueError, TypeError: ``EarlyStopper`` refuses an argument, or ``every`` < 1.
    """

    def __init__(
        self, horizon: Any, mode: str, metric: str, *, time_attr: str = "training_iteration", every: Any = 1, **options: Any
    ) -> None:
        self._horizon = horizon if callable(horizon) else None  # that of each trial
        self.stopper, self.reasons = EarlyStopper(1 if callable(horizon) else horizon, mode, **options), {}
        self.metric, self._time_attr, self._every = metric, time_attr, as_count(every, "every")
        self._horizons: dict[str, float] = {}
        self._first: dict[str, bool] = {}  # whether a trial's steps start at 0
        self._results: dict[str, int] = {}
        self._warned = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether to stop the trial; Ray calls this at each result. A result without the metric or the step is ignored."""
        self._results[trial_id] = self._results.get(trial_id, 0) + 1
        return self.report(trial_id, result, ask=self._results[trial_id] % self._every == 0).stop

    def stop_all(self) -> bool:
        """Always False: the experiment goes on with other trials."""
        return False

    def report(self, trial_id: str, result: dict[str, Any], *, ask: bool = True) -> Verdict:
        """Takes a result and returns the verdict; with ``ask`` False nothing is predicted."""
        step, value = _found(result, self._time_attr), _found(result, self.metric)
        if step is None or value is None:
            reason = f"{self.metric!r} or {self._time_attr!r} is missing from a result, which has {', '.join(sorted(result))}"
            log.log(logging.DEBUG if self._warned else logging.WARNING, "trial %s: %s", trial_id, reason)
            self._warned = True
            return unasked(reason)
        if self._horizon is not None and trial_id not in self._horizons:
            self._horizons[trial_id] = as_horizon(self._horizon(result))
        last = self._horizons.get(trial_id, self.stopper.horizon)
        step, last = from_one(step, last, zero=self._first.setdefault(trial_id, step == 0))
        best = None if ask else math.nan  # NaN: nothing to ask
        verdict = self.stopper.update(step, value, best=best, run=trial_id, horizon=last)
        log.log(logging.INFO if verdict.stop else logging.DEBUG, "trial %s at %g: %s", trial_id, step, verdict.reason)
        if verdict.stop:
            self.reasons[trial_id] = verdict.reason
        return verdict

    def predicted_value(self, trial_id: str) -> float:
        """The metric at the horizon, to report to a search for a stopped trial; see ``lcx.EarlyStopper.predicted_value``."""
        return self.stopper.predicted_value(trial_id)


class LCXScheduler(FIFOScheduler):
    """Runs trials in their order and stops one if it is unlikely to beat the best value of any other.

        scheduler = LCXScheduler(50, bounds=(0, 1))
        Tuner(train, tune_config=TuneConfig(metric="accuracy", mode="max", scheduler=scheduler), ...).fit()

    ``Tuner.restore`` does not restore the state of schedulers. Of the restored trials, this scheduler then knows what Ray keeps: the best
    value of each trial that has ended, and the last value of each that goes on. :class:`LCXStopper` keeps all curves.

    Args:
        horizon: as in :class:`LCXStopper`.
        metric: as in :class:`LCXStopper`; default: that of ``TuneConfig``.
        mode: as in :class:`LCXStopper`; default: that of ``TuneConfig``.
        options: as in :class:`LCXStopper`, also time_attr and every.

    Attributes:
        stop: the :class:`LCXStopper` that decides; it has the reasons and the predicted values. None until metric and mode are known.
    """

    def __init__(self, horizon: Any, metric: str | None = None, mode: str | None = None, **options: Any) -> None:
        super().__init__()
        self.stop: LCXStopper | None = None
        self._metric, self._mode, self._horizon, self._options = metric, mode, horizon, options
        LCXStopper(horizon, mode or "max", metric or "", **options)  # refuses a wrong argument at once

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Takes metric and mode of ``TuneConfig``. Returns False, on which Ray raises, if they are given twice or not at all."""
        if (self._metric and metric) or (self._mode and mode) or not (self._metric or metric) or not (self._mode or mode):
            return False
        self._metric, self._mode = self._metric or metric, self._mode or mode
        self.stop = LCXStopper(self._horizon, str(self._mode), str(self._metric), **self._options)
        return True

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Takes what Ray knows of a trial that was restored."""
        stop, known = self._ready(), trial.last_result or {}
        if trial.is_finished():
            known = known | {stop.metric: trial.metric_analysis.get(stop.metric, {}).get(self._mode)}
        if _found(known, stop.metric) is not None:
            stop.report(trial.trial_id, known, ask=False)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Decides on a result."""
        return self.STOP if self._ready()(trial.trial_id, result) else self.CONTINUE

    def debug_string(self) -> str:
        """The text that Ray prints with its status."""
        reasons = [] if self.stop is None else list(self.stop.reasons.items())
        last = f"; the last: {reasons[-1][0]}: {reasons[-1][1]}" if reasons else ""
        return f"Using LCXScheduler: {len(reasons)} trials stopped{last}"

    def _ready(self) -> LCXStopper:
        if self.stop is None:
            raise ValueError("expected a metric and a mode for LCXScheduler, got none; give them in TuneConfig or to the scheduler")
        return self.stop


def _found(result: dict[str, Any], key: str) -> Any:
    """The value of a key, which may be nested by "/"; None if there is none."""
    if key in result:
        return result[key]
    return reduce(lambda inner, part: inner.get(part) if isinstance(inner, dict) else None, key.split("/"), result)
