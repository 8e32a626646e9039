"""What the callbacks of XGBoost and LightGBM share: a training is a run, and every few rounds are read. Loads no framework."""

import math
from dataclasses import dataclass
from typing import Any

from lcx.extrapolation import Extrapolation
from lcx.integrations.one_run import OneRun
from lcx.stopping.intake import as_count
from lcx.stopping.outlook import better, largest_prob_better, own_best
from lcx.stopping.rules import Verdict, never_better

_READ = 50  # rounds read by default: a round often takes less time than a prediction


@dataclass(frozen=True)
class past_its_best:
    """Stops a run if P(y_t better than its own best) <= delta at every predicted step t: early stopping without patience.

    Attributes:
        delta: the limit, < 1; with a negative limit no run is stopped.
    """

    delta: float = 0.05

    def __post_init__(self) -> None:
        never_better(self.delta)  # refuses a wrong limit

    def __call__(self, extrapolation: Extrapolation, best: float) -> Verdict:
        """Gives the verdict; it ignores ``best``."""
        own = own_best(extrapolation)
        chance, step = largest_prob_better(extrapolation, own)
        said = f"P(better than its own best, {own:.6g}) is at most {chance:.3g}, at step {step:g}; the limit is {self.delta:g}"
        return Verdict(chance <= self.delta, chance, said)


class Training:
    """One training: its best round, its verdicts and its predicted final value.

    Args:
        metric: name of the metric.
        mode: "max" if larger is better, "min" if smaller is.
        horizon: number of the last round.
        done: rounds done before, if a training is continued.
        every: read one round in ``every``; default: about 50 rounds are read, or with the resource "time" a round per 1/50 of it.
        options: of :class:`lcx.integrations.one_run.OneRun`; without best, shared and rule, the rule is :class:`past_its_best`.
    """

    def __init__(self, metric: str, mode: str, horizon: float, *, done: int = 0, every: Any = None, **options: Any) -> None:
        self._every = None if every is None else as_count(every, "every")
        if all(options.get(name) is None for name in ("best", "shared", "rule")):
            options |= {"rule": past_its_best(options.get("delta", 0.05))}
        self._run, self._metric, self._mode = OneRun(metric, mode, horizon=horizon, **options), metric, mode
        self._run.begin(done=done)
        self._timed, self._horizon, self._looked = options.get("resource") == "time", float(horizon), 0.0
        self.best_round, self.best_value, self._end = 0, math.nan, math.nan  # rounds count from 1; 0 is none
        self.verdict: Verdict | None = None

    def report(self, step: int, value: float) -> bool:
        """Whether to stop after this round.

        Args:
            step: number of the round, from 1.
            value: metric.
        """
        if math.isfinite(value) and (self.best_round == 0 or better(value, self.best_value, self._mode)):
            self.best_round, self.best_value = step, value
        if step == self._horizon and not self._timed:
            self._end = value
        if not self._due(step):
            return False
        self.verdict = self._run.report(step, value)
        return self.verdict.stop

    def _due(self, step: int) -> bool:
        """Whether this round is read; the last always is, because others must see that the run has finished."""
        if self._every is not None or not self._timed:
            return step % (self._every or max(1, round(self._horizon / _READ))) == 0 or step == self._horizon
        due = self._run.seconds >= self._looked + self._horizon / _READ
        self._looked = self._run.seconds if due else self._looked
        return due

    def predicted_value(self) -> float:
        """The metric at the horizon: as predicted after the last round read, or as measured if it was reached; NaN if unknown."""
        return self._run.forecast()[f"{self._metric}_predicted"] if math.isnan(self._end) else self._end
