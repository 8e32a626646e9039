"""What the callbacks of XGBoost and LightGBM share: a training is a run, and every few rounds are read. Loads no framework."""

import math
from dataclasses import dataclass
from typing import Any

from lcx.extrapolation import Extrapolation
from lcx.integrations.one_run import OneRun
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
        every: read one round in ``every``; default: about 50 rounds are read.
        options: of :class:`lcx.integrations.one_run.OneRun`; without best, shared and rule, the rule is :class:`past_its_best`.
    """

    def __init__(self, metric: str, mode: str, horizon: float, *, done: int = 0, every: int | None = None, **options: Any) -> None:
        if every is not None and every < 1:
            raise ValueError(f"expected every >= 1, got {every}; write 1 to read each round")
        if all(options.get(name) is None for name in ("best", "shared", "rule")):
            options |= {"rule": past_its_best(options.get("delta", 0.05))}
        self._run, self._metric, self._mode = OneRun(metric, mode, horizon=horizon, **options), metric, mode
        self._run.begin(done=done)
        self._every = every or max(1, round(self._run.horizon / _READ))
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
        if step == self._run.horizon:
            self._end = value
        if step % self._every:
            return False
        self.verdict = self._run.report(step, value)
        return self.verdict.stop

    def predicted_value(self) -> float:
        """The metric at the horizon: as predicted after the last round read, or as measured if it was reached; NaN if unknown."""
        return self._run.forecast()[f"{self._metric}_predicted"] if math.isnan(self._end) else self._end
