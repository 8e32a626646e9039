"""Optuna: a pruner, and a function that prunes in studies with several objectives, for which Optuna has no pruners."""

import logging
import math
from collections.abc import Mapping
from typing import Any

from lcx.extrapolation import Extrapolation
from lcx.stopping.intake import as_step, as_value
from lcx.stopping.rules import Rule, Verdict, never_better, spare_incumbent, unasked
from lcx.stopping.stopper import EarlyStopper

try:
    from optuna import Study, Trial
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
    then counts as complete, and ``study.best_trial`` may be such a trial if the metric can get worse again.

    If steps start at 0, 1 is added to them. If a step is reported twice, Optuna keeps the first value. NaN and infinite values count as
    missing.

    Args:
        horizon: number of steps of a full trial.
        options: delta, bounds, model, min_points, confirm, rule, stop_on_divergence of ``lcx.EarlyStopper``.

    Raises:
        ValueError, TypeError: ``EarlyStopper`` refuses an argument.
    """

    def __init__(self, horizon: float, **options: Any) -> None:
        self._horizon, self._options = horizon, options
        self._answers: dict[Any, tuple[int, bool]] = {}  # by trial: its number of values, and the answer; each access is atomic
        EarlyStopper(horizon, "max", **options)  # refuses a wrong argument now rather than in the middle of a study

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Called by ``trial.should_prune()``. The answer changes only with the number of values reported."""
        key, count = (study.study_name, trial.number, trial.datetime_start), len(trial.intermediate_values)
        known = self._answers.get(key)
        if known is not None and known[0] == count:
            return known[1]
        stopper, verdict = self._asked(study, trial)
        log.debug("trial %d: %s", trial.number, verdict.reason)
        if verdict.stop and not trial.state.is_finished():
            for name, value in (("lcx:reason", verdict.reason), ("lcx:predicted", _predicted(stopper))):
                study._storage.set_trial_user_attr(trial._trial_id, name, value)  # the way of Optuna's own pruners: there is no other
                trial.set_user_attr(name, value)  # lets the objective function see it
        self._answers.pop(key, None)
        self._answers[key] = count, verdict.stop
        for old in list(self._answers)[:-_REMEMBERED]:
            self._answers.pop(old, None)
        return verdict.stop

    def verdict(self, study: Study, trial: FrozenTrial) -> Verdict:
        """The verdict on a trial, with its reason, whether to prune or not. Use it to see why a trial is not pruned; it changes nothing."""
        return self._asked(study, trial)[1]

    def _asked(self, study: Study, trial: FrozenTrial) -> tuple[EarlyStopper, Verdict]:
        stopper = EarlyStopper(self._horizon, _mode(study.direction), **self._options)
        lower, upper = stopper.bounds
        found = [
            value
            for other in study.get_trials(deepcopy=False, states=_COUNTED)
            if other.number != trial.number
            for value in (other.intermediate_values.values() or other.values or ())
            if math.isfinite(value) and (lower is None or lower <= value) and (upper is None or value <= upper)
        ]
        best = (max if stopper.mode == "max" else min)(found, default=None)
        return stopper, _feed(stopper, list(trial.intermediate_values.items()), best)


def should_prune(
    trial: Trial,
    values: Mapping[str, float | None],
    step: int,
    *,
    horizon: float,
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    delta: float = 0.05,
    rule: Rule | None = None,
    **options: Any,
) -> bool:
    """Takes the values at one step and decides whether to stop a trial of a study with several objectives.

    A trial should stop if there is a complete trial in the Pareto front that it is unlikely to beat in any objective: the rule stops it in
    every objective when the final value of that trial is the value to beat. The curves are kept in the user attribute ``lcx:curve`` of the
    trial, ``{objective: [[step, value], ...]}``. A stopped trial has ``lcx:reason``, and ``lcx:predicted``, a list of the predicted values
    at the horizon. Do not use ``Trial.report`` and ``Trial.should_prune``: Optuna refuses them in such studies.

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
        options: model, min_points, confirm, stop_on_divergence of ``lcx.EarlyStopper``; a trial also stops if one objective diverges.

    Raises:
        ValueError, TypeError: the objectives are not those of the study, or ``EarlyStopper`` refuses an argument.
    """
    study, judge = trial.study, spare_incumbent(never_better(delta)) if rule is None else rule
    names = _objectives(study, list(values), list(bounds or ()))
    curves = _kept(trial, values, step)
    ended = [other for other in study.best_trials if "lcx:predicted" not in other.user_attrs]  # a prediction is nothing to be beaten by
    stoppers, looks, reasons = [], [], []
    for i, (name, direction) in enumerate(zip(names, study.directions, strict=True)):
        looks.append(_Looks(name, [other.values[i] for other in ended], judge))
        within = (bounds or {}).get(name, (None, None))
        stoppers.append(EarlyStopper(horizon, _mode(direction), bounds=within, rule=looks[i], **options))
        verdict = _feed(stoppers[i], curves[name], None)
        reasons += [f"{name}: {verdict.reason}"] if verdict.stop else []  # it diverges
    if reasons := reasons + _beaten(ended, looks, stoppers):
        trial.set_user_attr("lcx:reason", reasons[0])
        trial.set_user_attr("lcx:predicted", [_predicted(stopper) for stopper in stoppers])
    return bool(reasons)


class _Looks:
    """A rule that never stops a run: it keeps the verdicts against each of several values to beat."""

    def __init__(self, name: str, bests: list[float], rule: Rule) -> None:
        self.verdicts: list[list[Verdict]] = []
        self._name, self._bests, self._rule = name, bests, rule

    def __call__(self, extrapolation: Extrapolation, best: float) -> Verdict:
        self.verdicts.append([self._rule(extrapolation, own) for own in self._bests])
        return unasked("kept")

    def agree(self, k: int, confirm: int) -> bool:
        """Whether there were this many looks, and all of them say stop against the k-th value."""
        return len(self.verdicts) == confirm and all(verdicts[k].stop for verdicts in self.verdicts)

    def told(self, k: int) -> str:
        """Why the last look said what it said against the k-th value."""
        return f"{self._name}: {self.verdicts[-1][k].reason}"


def _beaten(ended: list[Any], looks: list[_Looks], stoppers: list[EarlyStopper]) -> list[str]:
    """A sentence for each trial that is unlikely to be beaten in any objective."""
    return [
        f"trial {other.number} is unlikely to be beaten in any objective; {'; '.join(look.told(k) for look in looks)}"
        for k, other in enumerate(ended)
        if all(look.agree(k, stopper.confirm) for look, stopper in zip(looks, stoppers, strict=True))
    ]


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


def _feed(stopper: EarlyStopper, curve: _Curve, best: float | None) -> Verdict:
    """The verdict at the end of a curve. Earlier points are predicted only if their verdict can count."""
    points, verdict = sorted(curve), unasked("no value was reported")
    first = any(step == 0 for step, _ in points)
    finite = [i for i, (_, value) in enumerate(points) if math.isfinite(value)]
    looked_at = finite[-stopper.confirm :][0] if finite else 0
    for i, (step, value) in enumerate(points):
        verdict = stopper.update(as_step(step + first), value, best=best if i >= looked_at else math.nan)  # NaN: take it in, ask nothing
    return verdict


def _predicted(stopper: EarlyStopper) -> float:
    try:
        return stopper.predicted_value()
    except ValueError:  # diverged from the start
        return math.nan


def _mode(direction: StudyDirection) -> str:
    return "max" if direction == StudyDirection.MAXIMIZE else "min"
