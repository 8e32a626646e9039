"""``EarlyStopper``: decides after each report of a training loop whether to stop the run; for one run or many."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import RLock
from typing import Any

from lcx.extrapolation import Extrapolation
from lcx.extrapolator import load
from lcx.stopping.apart import one_by_one
from lcx.stopping.false_stops import FalseStops, as_rate, in_control
from lcx.stopping.freeze_thaw import Turn, next_turn
from lcx.stopping.hyperparameters import as_rows, next_new
from lcx.stopping.intake import Reports, as_bounds, as_count, as_horizon, as_mode, as_number, as_rule, as_run, as_share, as_step, as_value
from lcx.stopping.notices import Notices
from lcx.stopping.rules import Rule, Verdict, never_better, spare_incumbent, unasked
from lcx.stopping.study import as_history, best_of_others, ends_of, predict
from lcx.stopping.verdicts import after_rule, before_rule

RunId = str | int | None
_SETTINGS = ("horizon", "mode", "delta", "model", "min_points", "confirm", "stop_on_divergence", "min_finished", "others", "control")


class EarlyStopper:
    """Decides after each report whether to stop a run. Your loop does the stopping.

    By default a run should stop if P(better than best) <= delta at every later step, unless the run itself holds the best value. ``best``
    is the best value of the other runs: a run never has to beat its own values. The state is the reported curves. All methods may be
    called from several threads. The model runs on the CPU.

    Args:
        horizon: last step of every run, its budget; user's step unit. A run may have one of its own, see :meth:`update`.
        mode: "max" if larger is better, "min" if smaller is.
        delta: limit of the default rule, a probability < 1; with a negative limit no run is stopped. Not used if ``rule`` is given.
        false_stops: instead of ``delta``, the share of the runs that would become the best which may be stopped before, from 0.01 to 0.5.
            The limit is then a share of 1 / number of runs (:mod:`lcx.stopping.false_stops`), sharpened by runs never at risk: those
            of ``control``, those that ended before ``min_finished`` had, and finished runs of ``history``, if it was never stopped.
        control: share of the runs, drawn by name, that are never stopped, from 0 to 1. They show the rate: :meth:`false_stop_rate`.
        bounds: limits (lower, upper) that the metric cannot pass, as in ``lcx.predict``; values outside are not read.
        model: name of a shipped model, or the folder of a model.
        min_points: number of values needed before the first decision, >= 1.
        confirm: number of decisions to stop needed in a row, >= 1; verdicts without a probability (NaN) do not count.
        rule: a rule of ``lcx.stopping``, or any callable (extrapolation of the run, best) -> Verdict. ``best`` is -inf (mode "min": inf)
            if there is no value to beat. You may set the attribute ``rule`` between reports; the new rule holds from then on.
        stop_on_divergence: stop a run after this many values in a row that are not finite; None: never stop it for such values.
        min_finished: number of runs that must have reached their horizon before the first decision on any other, >= 0.
        others: whether forecasts read the other runs that have reported (``others`` of ``lcx.predict``), finished or not, unless ignored.
            A model without a reader reads each run alone.
        history: runs of an earlier study, which forecasts read too and which are nothing to beat, as ``lcx.readers.read`` (one metric) or
            :meth:`state` gives them, or pairs (steps, values), perhaps by name.

    Raises:
        ValueError, TypeError: an argument breaks a rule above; the message says which and what to do.
    """

    def __init__(
        self,
        horizon: Any,
        mode: str,
        *,
        delta: Any = 0.05,
        bounds: Any = (None, None),
        model: str | Path = "default",
        min_points: Any = 2,
        confirm: Any = 1,
        rule: Any = None,
        stop_on_divergence: Any = None,
        min_finished: Any = 0,
        others: bool = True,
        history: Any = None,
        false_stops: Any = None,
        control: Any = 0.0,
    ) -> None:
        self.horizon, self.mode, self.bounds = as_horizon(horizon), as_mode(mode), as_bounds(bounds)
        load(model, "cpu")  # refuses an unknown model now rather than in the middle of a run
        self.delta, self.model, self.rule = as_number(delta, "delta"), str(model), as_rule(rule)
        self.min_points, self.confirm = as_count(min_points, "min_points"), as_count(confirm, "confirm")
        self.stop_on_divergence = None if stop_on_divergence is None else as_count(stop_on_divergence, "stop_on_divergence")
        self.min_finished, self.others = as_count(min_finished, "min_finished", least=0), bool(others)
        never_better(self.delta if rule is None else 0.0)  # refuses a wrong limit
        self._rate, self.control = as_rate(false_stops, rule), as_share(control, "control")
        self._history = as_history(history, self.bounds)
        self._runs: dict[RunId, Reports] = {}
        self._turns, self._lock, self.notices = 0, RLock(), Notices()  # turns of next_run

    def update(self, step: Any, value: Any, *, best: Any = None, run: Any = None, horizon: Any = None) -> Verdict:
        """Takes one report and decides whether to stop the run.

        Args:
            step: user's step unit, > 0, later than the last step of the run; add 1 to a counter that starts at 0. A repeated or earlier
                step is ignored, and the verdict says so.
            value: metric at that step, user's unit. NaN, inf and None are missing values and raise no error.
            best: value to beat in this call, instead of the best of the other runs; it may be a value of this run.
            run: name of the run, a string or a whole number; None is a name too.
            horizon: last step of this run from now on, if it is not that of all runs.

        Returns:
            The verdict. ``stop`` is False from the horizon on, and if nothing can be predicted; ``reason`` says which.

        Raises:
            ValueError, TypeError: the step is not a finite number > 0, or another argument is of a wrong type.
        """
        return self.update_many({run: (step, value)}, best=best, horizons={run: horizon})[run]

    def update_many(self, reports: Mapping[Any, tuple[Any, Any]], best: Any = None, horizons: Any = None) -> dict[Any, Verdict]:
        """Takes one report of each of many runs; returns the verdict for each run. The model is called once.

        All reports are read before the first decision, so each run is compared with the newest values of the others.

        Args:
            reports: (step, value) for each run, as in :meth:`update`.
            best: as in :meth:`update`.
            horizons: {run: horizon} of the runs that have one of their own.
        """
        target = None if best is None else as_number(best, "best")
        last = {as_run(run): as_horizon(horizon) for run, horizon in (horizons or {}).items() if horizon is not None}
        checked = {run: (as_run(run), as_step(step), as_value(value)) for run, (step, value) in reports.items()}
        with self._lock:
            taken = {run: self._take(*report, last.get(report[0])) for run, report in checked.items()}
            asked = [checked[run][0] for run, answer in taken.items() if answer is None]
            answers = self._decide(asked, target) if asked else {}
        return {run: taken[run] or answers[checked[run][0]] for run in checked}

    def forget(self, run: Any = None) -> None:
        """Drops the curve of a run, as if it had never been reported; later reports under its name begin a new run."""
        with self._lock:
            self._runs.pop(self._known(run))

    def ignore(self, run: Any = None, ignored: bool = True) -> None:
        """Lets the values of an anomalous run count for no other run; it is itself judged as before. ``ignored=False`` takes this back."""
        with self._lock:
            self._runs[self._known(run)].ignored = ignored

    def next_run(self, *, more: bool = True, without: Iterable[Any] = (), hyperparameters: Any = None) -> Turn | None:
        """Which run to train next, or that a new one should begin; for runs that can be paused and resumed (``lcx.stopping.freeze_thaw``).

        Train the run as far as the answer says, give its reports to :meth:`update`, and ask again. The choice rests on each run's chance to
        beat the best value of all runs, and by how much; ``rule`` is not used. Runs at their horizon, and runs stopped by
        ``stop_on_divergence``, are never chosen. None: no run has a chance above the limit, and there is no new run to begin.

        Args:
            more: whether there are new runs to begin.
            without: runs that cannot go on.
            hyperparameters: as in :meth:`next_new`, which then names the new run to begin, with the same errors.
        """
        gone, rows = {as_run(run) for run in without}, None if hyperparameters is None else as_rows(hyperparameters)
        with self._lock:
            more = more and (rows is None or any(run not in self._runs for run in rows))
            about = {"horizon": self.horizon, "mode": self.mode, "most_lost": self.stop_on_divergence, "delta": self._limit()}
            turn = next_turn(self._runs, self._predict, **about, turn=self._turns, more=more, without=gone)
            self._turns += 1
            return turn.naming(self.next_new(rows)) if turn and turn.new and rows else turn

    def next_new(self, hyperparameters: Any) -> RunId:
        """Which run to begin next, by its hyperparameters and what those of the runs begun have led to (``lcx.stopping.hyperparameters``).

        Without earlier studies it is the first until five runs have reported. A run not finished counts by its forecast. None: all begun.

        Args:
            hyperparameters: {run: {name: value}} of runs that could begin, and of those that have reported, from which it learns. Leave
                out runs that have begun and not reported. Or what ``lcx.stopping.with_earlier_studies`` makes of it.

        Raises: TypeError, it is not such a mapping; ImportError, scikit-learn is not installed.
        """
        with self._lock:
            ends = ends_of(self._runs, self._predict, horizon=self.horizon, mode=self.mode)
            return next_new(as_rows(hyperparameters), set(self._runs), ends)

    def false_stop_rate(self) -> FalseStops:
        """The rate of false stops asked for, the limit for it, and the rate seen; ValueError if ``false_stops`` was not given."""
        if self._rate is None:
            raise ValueError("expected a stopper with a wanted rate, got one with a limit; give EarlyStopper false_stops=0.05, say")
        with self._lock:  # runs that freeze-thaw finishes are chosen, so they are no sample
            runs = [] if self._turns else [*self._history, *self._runs.values()]
            about = {name: getattr(self, name) for name in ("horizon", "mode", "bounds", "min_points", "others")}
            return self._rate.told(runs, load(self.model, "cpu"), **about)

    def predicted_value(self, run: Any = None) -> float:
        """The metric at the horizon, user's unit: the predicted median or the last value, to tell a sampler; ValueError without one."""
        with self._lock:
            known = self._runs.get(as_run(run))
            if not (known and known.read):
                raise ValueError(f"expected a run with a value, got run {run!r} with none; the first runs are {list(self._runs)[:5]}")
            step, value = known.read[-1]
            return value if step >= (known.horizon or self.horizon) else float(self._predict([known]).median[0, -1])

    def state(self) -> dict[str, Any]:
        """The settings and the curve of each run, as JSON can hold them; :meth:`from_state` continues from it."""
        settings = {name: getattr(self, name) for name in _SETTINGS} | {"bounds": list(self.bounds)}
        settings |= {} if self._rate is None else {"false_stops": self._rate.asked}
        with self._lock:
            runs, past = [{"run": name} | run.state() for name, run in self._runs.items()], [run.state() for run in self._history]
        kept = {"settings": settings, "rule": self.rule and repr(self.rule), "runs": runs, "turns": self._turns}
        return kept | ({"history": past} if past else {})

    @classmethod
    def from_state(cls, state: Mapping[str, Any], rule: Rule | None = None) -> "EarlyStopper":
        """A stopper that continues where the one that returned ``state`` was, also after a round trip through JSON.

        A state holds no code: a stopper that was given a rule needs that ``rule`` again.

        Raises:
            ValueError: a rule is missing, or given although the stopper had none; or ``state`` is not a state.
        """
        try:
            if (rule is None) != (state["rule"] is None):
                raise ValueError(f"expected rule {state['rule']}, got {rule!r}; hand over the rule that the stopper was given")
            stopper = cls(rule=rule, **state["settings"])
            stopper._turns = int(state.get("turns", 0))  # a state of version 0.1 has none
            stopper._runs = {as_run(kept["run"]): Reports.from_state(kept, stopper.bounds) for kept in state["runs"]}
            stopper._history = [Reports.from_state(kept, stopper.bounds) for kept in state.get("history", ())]
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"expected what EarlyStopper.state gave, got something else ({error}); keep it as it was") from error
        return stopper

    def __getstate__(self) -> dict[str, Any]:
        return {"state": self.state(), "rule": self.rule}  # neither the lock nor a model

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__dict__ = type(self).from_state(kept["state"], kept["rule"]).__dict__

    def _known(self, run: Any) -> RunId:
        if (name := as_run(run)) not in self._runs:
            raise ValueError(f"expected a run that has reported, got {run!r}; the first runs are {list(self._runs)[:5]}")
        return name

    def _take(self, run: RunId, step: float, value: float, horizon: float | None) -> Verdict | None:
        """Adds a report to the curve of the run. Returns the verdict if it needs no prediction, else None."""
        known = self._runs.setdefault(run, Reports())
        known.horizon = horizon or known.horizon
        about = {"min_points": self.min_points, "most_lost": self.stop_on_divergence, "notices": self.notices, "horizon": self.horizon}
        return before_rule(known, known.add(step, value, self.bounds), step=step, value=value, **about)

    def _decide(self, runs: list[RunId], best: float | None) -> dict[RunId, Verdict]:
        """Verdicts on runs that have enough values and have not reached the horizon."""
        if not math.isfinite(best or 0.0):
            return {run: unasked(f"the value to beat is {best}; give a finite one, or none") for run in runs}
        if self.min_finished and (n := sum(known.finished(self.horizon) for known in self._runs.values())) < self.min_finished:
            return {run: unasked(f"{n} run(s) have reached their horizon, {self.min_finished} needed first") for run in runs}
        reports, answers = [self._runs[run] for run in runs], {}
        targets = self.to_beat(runs) if best is None else [best] * len(runs)
        alone = one_by_one(self._predict(reports), targets, lambda i: self._predict([reports[i]]))
        rule = spare_incumbent(never_better(self._limit())) if self.rule is None else self.rule
        for run, known, target, extrapolation in zip(runs, reports, targets, alone, strict=True):
            control = in_control(run, self.control)
            answers[run] = after_rule(known, rule(extrapolation, target), target, confirm=self.confirm, control=control)
        return answers

    def to_beat(self, runs: Iterable[RunId]) -> list[float]:
        """The best value of the others for each run; if they have none, the value that every value beats."""
        return best_of_others([self._runs.get(run) for run in runs], self._runs.values(), self.mode)

    def _limit(self) -> float:
        begun = sum(bool(known.read) and not known.ignored for known in self._runs.values())
        return self.delta if self._rate is None else self.false_stop_rate().limit(begun)

    def _predict(self, runs: list[Reports]) -> Extrapolation:
        known = [*self._history, *self._runs.values()] if self.others else []
        return predict(load(self.model, "cpu"), runs, known, horizon=self.horizon, mode=self.mode, bounds=self.bounds)
