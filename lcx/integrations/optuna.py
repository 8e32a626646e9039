"""Optuna: a pruner, and a function that prunes in studies with several objectives, for which Optuna has no pruners."""

import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from operator import itemgetter
from typing import Any

from lcx.integrations.pareto import Looks, beaten_by
from lcx.stopping.false_stops import as_rate
from lcx.stopping.intake import as_count, as_rule, as_step, as_value, from_one
from lcx.stopping.notices import Notices
from lcx.stopping.rules import Verdict, never_better, spare_incumbent, unasked
from lcx.stopping.stopper import EarlyStopper
from lcx.stopping.study import MOST

try:
    from optuna import Study, Trial, TrialPruned
    from optuna.pruners import BasePruner
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    raise ImportError("expected the package optuna for this pruner, got none; pip install 'lcx[optuna]'") from error

log = logging.getLogger("lcx")
_COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)  # the values of a failed trial cannot be obtained again
_REMEMBERED = 1000  # trials whose last answer is kept
_Curve = list[tuple[float, float]]


class LCXPruner(BasePruner):
    """Prunes a trial if it is unlikely to beat the best value that any other trial of the study has reported.

    Like every pruner it is not stored with the study: give it again when you load a study. It reads everything, also the direction, from
    the study, so threads, processes and restarts get the same answers.

        study = optuna.create_study(direction="maximize", pruner=LCXPruner(horizon=50, bounds=(0, 1)))

        def objective(trial):
            for epoch in range(50):
                ...
                trial.report(accuracy, epoch)
                if trial.should_prune():
                    return trial.user_attrs["lcx:predicted"]  # or, as usual: raise optuna.TrialPruned()
            return accuracy

    A pruned trial has the user attributes ``lcx:reason``, a sentence, and ``lcx:predicted``, the predicted value at the horizon. If it
    raises ``TrialPruned``, the sampler learns its last value. If it returns the prediction, the sampler learns a better guess; the trial
    then counts as complete, and ``study.best_trial`` may be such a trial if the metric can get worse again. Of a trial that diverges
    nothing is predicted: the value is NaN, and within ``study.optimize``, ``should_prune`` itself raises ``TrialPruned``.

    If steps start at 0, 1 is added to them. If a step is reported twice, Optuna keeps the first value. NaN and infinite values count as
    missing. Steps may be seconds: report ``int(seconds)``, and give the horizon in seconds. To leave out anomalous trials, name their
    numbers in the study: ``study.set_user_attr("lcx:ignore", [3, 7])``.

    Args:
        horizon: number of steps of a full trial, or a function that gives it for a trial: ``lambda trial: trial.params["epochs"]``.
        min_finished: number of trials that must be complete, and not by a prediction, before any is pruned.
        false_stops: of ``lcx.EarlyStopper``, instead of delta; not sharpened by the study's own trials.
        options: delta, bounds, model, min_points, confirm, rule, stop_on_divergence of ``lcx.EarlyStopper``; also history, in whose place
            forecasts else read the other trials, and others, with which they do not. Not control.

    Raises:
        ValueError, TypeError: ``EarlyStopper`` refuses an argument.
    """

    def __init__(self, horizon: Any, *, min_finished: Any = 0, false_stops: Any = None, **options: Any) -> None:
        _refuse_control(options)
        self._horizon, self._options, self._min_finished = horizon, options, as_count(min_finished, "min_finished", least=0)
        self._answers: dict[Any, tuple[int, bool]] = {}  # by trial: its number of values, and the answer; each access is atomic
        self._notices, self._rate = Notices(), as_rate(false_stops, options.get("rule"))
        EarlyStopper(1 if callable(horizon) else horizon, "max", **options)  # refuses a wrong argument now, not in the middle of a study

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Called by ``trial.should_prune()``. The answer changes only with the number of values reported."""
        key, count = (study.study_name, trial.number, trial.datetime_start), len(trial.intermediate_values)
        known = self._answers.get(key)
        if known is not None and known[0] == count:
            return known[1]
        stopper, verdict = self._asked(study, trial)
        log.debug("trial %d: %s", trial.number, verdict.reason)
        if verdict.stop and not trial.state.is_finished():
            for name, value in (("lcx:reason", verdict.reason), ("lcx:predicted", _predicted(stopper, verdict))):
                study._storage.set_trial_user_attr(trial._trial_id, name, value)  # the way of Optuna's own pruners: there is no other
                trial.set_user_attr(name, value)  # lets the objective function see it
        self._answers.pop(key, None)
        self._answers[key] = count, verdict.stop
        for old in list(self._answers)[:-_REMEMBERED]:
            self._answers.pop(old, None)
        if verdict.stop:
            _prune_diverged(study, [verdict])
        return verdict.stop

    def verdict(self, study: Study, trial: FrozenTrial) -> Verdict:
        """The verdict on a trial, with its reason, whether to prune or not. Use it to see why a trial is not pruned; it changes nothing."""
        return self._asked(study, trial)[1]

    def _asked(self, study: Study, trial: FrozenTrial) -> tuple[EarlyStopper, Verdict]:
        horizon = self._horizon(trial) if callable(self._horizon) else self._horizon
        others = [other for other in _counted(study) if other.number != trial.number]
        told: Any = {"history": _read([list(other.intermediate_values.items()) for other in others], horizon)} | self._options
        told |= {} if self._rate is None else {"delta": self._rate.usual.limit(len(others) + 1)}
        stopper = EarlyStopper(horizon, _mode(study.direction), **told)
        stopper.notices = self._notices  # each stopper lives for one answer
        lower, upper = stopper.bounds
        found = [
            value
            for other in others
            for value in (other.intermediate_values.values() or other.values or ())
            if math.isfinite(value) and (lower is None or lower <= value) and (upper is None or value <= upper)
        ]
        best = (max if stopper.mode == "max" else min)(found, default=None)
        verdict = _feed(stopper, list(trial.intermediate_values.items()), best)
        return stopper, _waiting(others, self._min_finished) or verdict if math.isfinite(verdict.probability) else verdict


def should_prune(
    trial: Trial,
    values: Mapping[str, float | None],
    step: int,
    *,
    horizon: float,
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    delta: float = 0.05,
    rule: Any = None,
    min_finished: Any = 0,
    **options: Any,
) -> bool:
    """Takes the values at one step and decides whether to stop a trial of a study with several objectives.

    A trial should stop if there is a complete trial in the Pareto front that it is unlikely to beat in any objective: the rule stops it in
    every objective when the final value of that trial is the value to beat. The curves are kept in the user attribute ``lcx:curve`` of the
    trial, ``{objective: [[step, value], ...]}``. A stopped trial has ``lcx:reason``, and ``lcx:predicted``, a list of the predicted values
    at the horizon; a trial that diverges is pruned as by :class:`LCXPruner`. Optuna refuses ``Trial.report`` in such studies.

        if should_prune(trial, {"loss": loss, "accuracy": accuracy}, epoch, horizon=50, bounds={"accuracy": (0, 1)}):
            return trial.user_attrs["lcx:predicted"]  # or raise optuna.TrialPruned(), and the trial has no values

    Args:
        trial: the running trial; its study has the directions.
        values: {objective: value}, with the names in ``study.metric_names``; without such names, in the order in which the objective
            function returns them. NaN and None are missing values.
        step: as in ``Trial.report``: if steps start at 0, 1 is added; if a step is reported twice, the first values count.
        horizon: number of steps of a full trial.
        bounds: {objective: (lower, upper)}, limits that the metric cannot pass.
        delta: limit of the default rule, a probability < 1.
        rule: as in ``lcx.EarlyStopper``.
        min_finished: as in :class:`LCXPruner`; the trials to leave out are named as there.
        options: model, min_points, confirm, stop_on_divergence of ``lcx.EarlyStopper``; a trial also stops if one objective diverges.

    Raises:
        ValueError, TypeError: the objectives are not those of the study, or ``EarlyStopper`` refuses an argument.
    """
    _refuse_control(options)
    study, needed = trial.study, as_count(min_finished, "min_finished", least=0)
    judge = as_rule(rule) or spare_incumbent(never_better(delta))
    names = _objectives(study, list(values), list(bounds or ()))
    curves = _kept(trial, values, step)
    # A prediction is nothing to be beaten by.
    ended = [
        other
        for other in study.best_trials
        if "lcx:predicted" not in other.user_attrs and other.number not in study.user_attrs.get("lcx:ignore", ())
    ]
    others = [other for other in _counted(study) if other.number != trial.number and "lcx:curve" in other.user_attrs]
    stoppers, looks, diverged = [], [], []
    for i, (name, direction) in enumerate(zip(names, study.directions, strict=True)):
        looks.append(Looks(name, [other.values[i] for other in ended], judge))
        within = (bounds or {}).get(name, (None, None))
        past = [[(at, as_value(value)) for at, value in other.user_attrs["lcx:curve"].get(name, [])] for other in others[-MOST:]]
        told: dict[str, Any] = {"history": _read(past, horizon)}
        stoppers.append(EarlyStopper(horizon, _mode(direction), bounds=within, rule=looks[i], **told | options))
        verdict = _feed(stoppers[i], curves[name], None)
        diverged += [replace(verdict, reason=f"{name}: {verdict.reason}")] if verdict.stop else []
    beaten = [] if _waiting(_counted(study), needed) else beaten_by(ended, looks, stoppers)
    if reasons := [verdict.reason for verdict in diverged] + beaten:
        trial.set_user_attr("lcx:reason", reasons[0])
        trial.set_user_attr("lcx:predicted", [_predicted(stopper, *diverged[:1]) for stopper in stoppers])
        _prune_diverged(study, diverged)
    return bool(reasons)


def _refuse_control(options: Mapping[str, Any]) -> None:
    if "control" in options:  # a stopper of one answer has no names: it would spare every trial or none
        raise ValueError("expected options without control, got control; to spare a trial, do not ask in it whether to prune")


def _objectives(study: Study, values: list[str], bounds: list[str]) -> list[str]:
    """Names of the objectives in the order of the study's directions.

    Raises:
        ValueError: values or bounds were given of others.
    """
    names = study.metric_names or values
    if set(names) != set(values) or len(names) != len(study.directions) or set(bounds) - set(names):
        came = f"values of {values} and bounds of {bounds} for {len(study.directions)} directions"
        raise ValueError(f"expected one value per objective, got {came}, metric names {study.metric_names}; name each objective alike")
    return names


def _kept(trial: Trial, values: Mapping[str, float | None], step: int) -> dict[str, _Curve]:
    """The curves by objective, kept in the trial, with the values at this step added unless the step has values."""
    curves = {name: [] for name in values} | trial.user_attrs.get("lcx:curve", {})  # a copy
    for name, value in values.items():
        if all(known != step for known, _ in curves[name]):
            number = as_value(value)
            curves[name].append([step, None if math.isnan(number) else number])  # JSON has no NaN
    trial.set_user_attr("lcx:curve", curves)
    return {name: [(known, as_value(value)) for known, value in curve] for name, curve in curves.items()}


def _read(curves: list[_Curve], horizon: Any) -> list[tuple[list[float], list[float]]]:
    """The curves of other trials, which the forecast of a trial reads, as the history of a stopper; the latest of very many."""
    told = (sorted(curve, key=itemgetter(0)) for curve in curves[-MOST:] if curve)
    return [([from_one(step, horizon, zero=one[0][0] == 0)[0] for step, _ in one], [value for _, value in one]) for one in told]


def _feed(stopper: EarlyStopper, curve: _Curve, best: float | None) -> Verdict:
    """The verdict at the end of a curve. Earlier points are predicted only if their verdict can count."""
    points, verdict = sorted(curve), unasked("no value was reported")
    first = any(step == 0 for step, _ in points)
    finite = [i for i, (_, value) in enumerate(points) if math.isfinite(value)]
    looked_at = finite[-stopper.confirm :][0] if finite else 0
    for i, (step, value) in enumerate(points):
        counted, last = from_one(step, stopper.horizon, zero=first)
        given = best if i >= looked_at else math.nan  # NaN: take it in, ask nothing
        verdict = stopper.update(as_step(counted), value, best=given, horizon=last)
    return verdict


def _predicted(stopper: EarlyStopper, verdict: Verdict | None = None) -> float:
    """The predicted value of a trial; NaN if nothing was predicted, because it diverges."""
    try:
        return math.nan if verdict is not None and math.isnan(verdict.probability) else stopper.predicted_value()
    except ValueError:  # without a value
        return math.nan


def _prune_diverged(study: Study, verdicts: list[Verdict]) -> None:
    """Prunes a trial that diverges, which has no value to return: Optuna takes NaN as the failure of a trial."""
    if any(math.isnan(verdict.probability) for verdict in verdicts) and getattr(study._thread_local, "in_optimize_loop", False):
        raise TrialPruned(verdicts[0].reason)


def _counted(study: Study) -> list[FrozenTrial]:
    """The trials that count."""
    ignored = study.user_attrs.get("lcx:ignore", ())
    return [trial for trial in study.get_trials(deepcopy=False, states=_COUNTED) if trial.number not in ignored]


def _waiting(trials: list[FrozenTrial], needed: int) -> Verdict | None:
    """The verdict while too few trials are complete."""
    n = sum(trial.state == TrialState.COMPLETE and "lcx:predicted" not in trial.user_attrs for trial in trials)
    return unasked(f"{n} trial(s) are complete, {needed} needed first") if n < needed else None


def _mode(direction: StudyDirection) -> str:
    return "max" if direction == StudyDirection.MAXIMIZE else "min"
