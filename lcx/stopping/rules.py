"""Stopping rules, and a limit with a known rate of false stops.

A rule is a callable ``rule(extrapolation, best) -> Verdict``, where ``extrapolation`` is that of one curve and ``best`` the value to beat,
user's unit. If there is no value to beat, ``best`` is -inf for mode "max" and +inf for "min", which every value beats. The rules of this
module are frozen dataclasses, so they can be compared, printed and pickled.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lcx.extrapolation import Extrapolation
from lcx.stopping.outlook import better, expected_improvement, largest_prob_better, own_best, prob_better_at_end, prob_ever_better, reached


@dataclass(frozen=True)
class Verdict:
    """What a rule decides about one run."""

    stop: bool  # whether to stop the run now
    probability: float  # what the rule compares with its limit; NaN if nothing was predicted
    reason: str  # a plain sentence with the numbers behind it


Rule = Callable[[Extrapolation, float], Verdict]


def unasked(reason: str) -> Verdict:
    """The verdict where nothing was predicted."""
    return Verdict(False, math.nan, reason)


def _judged(chance: float, delta: float, said: str) -> Verdict:
    return Verdict(chance <= delta, chance, f"{said}; the limit is {delta:g}")


def _check_delta(rule: Any) -> None:
    if not (math.isfinite(rule.delta) and rule.delta < 1):
        raise ValueError(f"expected delta < 1, a probability, got {rule.delta}; write 0.05 for 5 %")


@dataclass(frozen=True)
class never_better:
    """Stops a run if P(y_t better than best) <= delta at every predicted step t. ``probability`` is the largest of these.

    Attributes:
        delta: the limit, < 1; with a negative limit no run is stopped.

    Source: the early stopping experiment of Adriaensen et al., NeurIPS 2023.
    """

    delta: float = 0.05

    __post_init__ = _check_delta

    def __call__(self, extrapolation: Extrapolation, best: float) -> Verdict:
        """Gives the verdict."""
        chance, step = largest_prob_better(extrapolation, best)
        return _judged(chance, self.delta, f"P(better than {best:.6g}) is at most {chance:.3g}, at step {step:g}")


@dataclass(frozen=True)
class not_better_at_horizon:
    """Stops a run if P(y better than best) <= delta at the last predicted step, normally the horizon. ``probability`` is this chance.

    Attributes:
        delta: as in :class:`never_better`.

    Source: predictive termination of Domhan et al., IJCAI 2015.
    """

    delta: float = 0.05

    __post_init__ = _check_delta

    def __call__(self, extrapolation: Extrapolation, best: float) -> Verdict:
        """Gives the verdict."""
        chance, step = prob_better_at_end(extrapolation, best)
        return _judged(chance, self.delta, f"P(better than {best:.6g}) is {chance:.3g} at step {step:g}")


@dataclass(frozen=True)
class ever_better:
    """Stops a run if P(y_t better than best at one or more predicted steps) <= delta. ``probability`` is this chance, from sample paths.

    It stops fewer runs than :class:`never_better`, because each noisy step is another chance. Sample paths take far more time.

    Attributes:
        delta: as in :class:`never_better`.
        paths: number of sample paths; the probability is a multiple of 1 / paths.
        seed: of the sample paths.
    """

    delta: float = 0.05
    paths: int = 200
    seed: int = 0

    __post_init__ = _check_delta

    def __call__(self, extrapolation: Extrapolation, best: float) -> Verdict:
        """Gives the verdict."""
        chance = prob_ever_better(extrapolation, best, self.paths, self.seed)
        return _judged(chance, self.delta, f"P(ever better than {best:.6g}) is {chance:.3g}, of {self.paths} paths")


@dataclass(frozen=True)
class not_worth_it:
    """Stops a run if its expected improvement over best, per unit of remaining cost, is at most a threshold.

    It compares E[max(y - best, 0)] / (cost * remaining steps) with the threshold, y at the last predicted step (mode "min": best - y).
    ``probability`` is P(y better than best) at that step.

    Attributes:
        threshold: metric in the user's unit per unit of cost, >= 0.
        cost: cost of one step, any unit (GPU-hours, money).

    Source: expected improvement (Mockus et al. 1978), per cost as in Snoek et al., NeurIPS 2012.
    """

    threshold: float
    cost: float = 1.0

    def __post_init__(self) -> None:
        if not (self.threshold >= 0 and self.cost > 0):
            raise ValueError(f"expected threshold >= 0 and cost > 0, got {self.threshold} and {self.cost}; correct them")

    def __call__(self, extrapolation: Extrapolation, best: float) -> Verdict:
        """Gives the verdict."""
        chance, step = prob_better_at_end(extrapolation, best)
        left = self.cost * (step - extrapolation.curves.last_step.item())
        rate = expected_improvement(extrapolation, best) / left
        said = f"expected improvement over {best:.6g} by step {step:g} is {rate:.3g} per unit of cost, {left:g} units left"
        return Verdict(rate <= self.threshold, chance, f"{said}; the threshold is {self.threshold:g}")


@dataclass(frozen=True)
class reaches:
    """Stops a run if P(y_t at least as good as a target) <= delta at every predicted step t. The rule ignores best.

    A run that has reached the target is not stopped. ``probability`` is the largest of these chances; 1 once the target is reached.

    Attributes:
        target: value of the metric to reach, user's unit.
        delta: as in :class:`never_better`.
    """

    target: float
    delta: float = 0.05

    __post_init__ = _check_delta

    def __call__(self, extrapolation: Extrapolation, best: float) -> Verdict:
        """Gives the verdict."""
        if reached(extrapolation, self.target):
            return Verdict(False, 1.0, f"the target {self.target:.6g} is reached, with {own_best(extrapolation):.6g}")
        chance, step = largest_prob_better(extrapolation, self.target)
        return _judged(chance, self.delta, f"P(target {self.target:.6g} reached) is at most {chance:.3g}, at step {step:g}")


@dataclass(frozen=True)
class after:
    """Warm-up: applies ``rule`` only from the step ``step`` (user's unit) on."""

    step: float
    rule: Rule

    def __call__(self, extrapolation: Extrapolation, best: float) -> Verdict:
        """Gives the verdict."""
        seen = extrapolation.curves.last_step.item()
        return self.rule(extrapolation, best) if seen >= self.step else unasked(f"warm-up until step {self.step:g}, now at {seen:g}")


@dataclass(frozen=True)
class every:
    """Applies ``rule`` only at every ``k``-th observed point. Fewer looks make fewer false stops.

    The points in between do not count for ``confirm`` of ``EarlyStopper``. With Optuna use ``confirm=1``: its pruner looks at the last
    ``confirm`` points, and ``rule`` applies to at most one of them.
    """

    k: int
    rule: Rule

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"expected k >= 1, got {self.k}; write 1 to look at every point")

    def __call__(self, extrapolation: Extrapolation, best: float) -> Verdict:
        """Gives the verdict."""
        seen = int(extrapolation.curves.counts)
        return self.rule(extrapolation, best) if seen % self.k == 0 else unasked(f"asked every {self.k} points, now at {seen}")


@dataclass(frozen=True)
class spare_incumbent:
    """Applies ``rule``, but never stops a run whose own best value is at least as good as ``best``."""

    rule: Rule

    def __call__(self, extrapolation: Extrapolation, best: float) -> Verdict:
        """Gives the verdict."""
        verdict, own = self.rule(extrapolation, best), own_best(extrapolation)
        if not verdict.stop or better(best, own, extrapolation.mode):
            return verdict
        return Verdict(False, verdict.probability, f"this run holds the best value, {own:.6g}; but for that: {verdict.reason}")


@dataclass(frozen=True)
class _Joined:
    rules: tuple[Rule, ...]
    needs_all: bool

    def __call__(self, extrapolation: Extrapolation, best: float) -> Verdict:
        verdicts = [rule(extrapolation, best) for rule in self.rules]
        return next((verdict for verdict in verdicts if verdict.stop != self.needs_all), verdicts[-1 if self.needs_all else 0])


def any_of(first: Rule, *others: Rule) -> Rule:
    """Stops a run if one of these rules does, with the verdict of the first that does; if none does, with that of the first rule."""
    return _Joined((first, *others), needs_all=False)


def all_of(first: Rule, *others: Rule) -> Rule:
    """Stops a run if all of these rules do, with the verdict of the last; else its verdict is that of the first that does not stop it."""
    return _Joined((first, *others), needs_all=True)


def calibrated_delta(scores: Any, became_best: Any, rate: float) -> tuple[float, float]:
    """The largest limit that stops at most a share ``rate`` of the runs that would become the best, however often they are looked at.

    The score of a run is its smallest probability over all looks: the run is stopped if and only if its score is <= delta. Take m finished
    runs that became the best, and a new run that is exchangeable with them. The score of the new run is below the k-th smallest of the m
    scores with probability at most k / (m + 1). So k = floor(rate * (m + 1)), and delta is just below the k-th smallest score.

    Args:
        scores: (n,) scores of finished runs: the smallest ``Verdict.probability`` over a run's looks. With confirm = c: the largest of c
            probabilities in a row, and the smallest of these. NaN for a run that was never looked at, and so is never stopped.
        became_best: (n,) whether the run, trained to the end, became better than ``best``.
        rate: the allowed share, in (0, 1), on average over possible sets of finished runs.

    Returns:
        delta, and the bound k / (m + 1) on the share. If m + 1 < 1 / rate there are too few runs: then -1.0, which stops no run, and 0.0.

    Raises:
        ValueError: rate outside (0, 1), or scores and became_best of different shapes.

    Source: split conformal prediction (Vovk et al., "Algorithmic Learning in a Random World", 2005).
    """
    smallest, chosen = np.asarray(scores, dtype=np.float64), np.asarray(became_best, dtype=bool)
    if smallest.shape != chosen.shape or smallest.ndim != 1 or not 0 < rate < 1:
        came = f"shapes {smallest.shape} and {chosen.shape}, rate {rate}"
        raise ValueError(f"expected scores and became_best of one length and a rate inside (0, 1), got {came}; correct them")
    kept = np.sort(np.where(np.isnan(smallest), np.inf, smallest)[chosen])
    k = math.floor(rate * (len(kept) + 1) + 1e-9)  # rounding must not lose a whole number
    if k == 0:
        return -1.0, 0.0
    return math.nextafter(min(kept[k - 1], 1.0), -math.inf), k / (len(kept) + 1)
