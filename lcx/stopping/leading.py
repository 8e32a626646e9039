"""A limit that follows the leading run: how small was its chance at its worst moment, although it came to lead?

On some tasks, runs that end well have a chance of only a few per cent for a long time; on other tasks far more. A single limit is then too
high for some tasks and too low for others. The history of the leading run gives a limit that fits: a run should stop if its chance is at
most a share of the smallest chance that the leading run had had by the same step.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lcx.curves import direction
from lcx.extrapolation import Extrapolation
from lcx.stopping.outlook import better, largest_prob_better, own_best
from lcx.stopping.rules import Verdict, unasked

SHARE, MOST = 0.5, 0.25  # see benchmarks/LOG.md for how they were chosen


@dataclass(frozen=True)
class below_leader:
    """Stops a run if P(y_t better than best), at every later step t, is at most the limit for its last observed step.

    ``probability`` is the largest of these chances. Here ``best`` is the better one of the value to beat and the best value of the run
    itself, so the leading run is stopped too once it is not expected to improve; wrap this rule in ``spare_incumbent`` to let it go on.
    The limits come from :meth:`of`; compute them again when another run leads.

    Attributes:
        steps: rising, user's unit.
        limits: one per step, probabilities that never rise. Before the first step no run is stopped.

    Source: ours.
    """

    steps: tuple[float, ...]
    limits: tuple[float, ...]

    def __call__(self, extrapolation: Extrapolation, best: float) -> Verdict:
        """Gives the verdict."""
        own, seen = own_best(extrapolation), extrapolation.curves.last_step.item()
        target = own if better(own, best, extrapolation.mode) else best
        chance, step = largest_prob_better(extrapolation, target)
        passed = int(np.searchsorted(self.steps, seen, side="right"))
        if passed == 0:
            return unasked(f"the leading run was not looked at before step {self.steps[0]:g}, now at {seen:g}")
        limit = self.limits[passed - 1]
        said = f"P(better than {target:.6g}) is at most {chance:.3g}, at step {step:g}"
        return Verdict(chance <= limit, chance, f"{said}; the limit is {limit:.3g}, by the leading run")

    @classmethod
    def of(cls, leader: Extrapolation, runner_up: float, share: float = SHARE, most: float = MOST) -> "below_leader":
        """The rule with the limits of a leading run.

        Args:
            leader: back-test of the leading run alone, ``Extrapolator.backtest(values, steps, horizon=..., mode=...)``.
            runner_up: what the leading run had to beat: the best value of all other runs, user's unit. As long as no other run has been
                trained to its end, the best value of the leading run itself.
            share: the limit as a share of the smallest chance that the leading run had had, > 0.
            most: highest limit, a probability < 1.

        Raises:
            ValueError: ``leader`` is not the back-test of one curve at all its cut-offs (the default of ``backtest``), or another argument
                breaks a rule above.
        """
        if not (math.isfinite(runner_up) and share > 0 and 0 <= most < 1):
            came = f"runner_up {runner_up}, share {share}, most {most}"
            raise ValueError(f"expected a finite runner_up, share > 0, 0 <= most < 1, got {came}; with no other run give the leader's best")
        points = leader.curves.values.shape[1]
        if not leader.one or leader.steps_ahead.dim() != 3 or leader.steps_ahead.shape[1] != points - 1:
            came = f"shape {tuple(leader.steps_ahead.shape)} of {points} points"
            raise ValueError(f"expected a back-test of one curve at all its cut-offs, got {came}; call backtest with one run, no cutoffs")
        sign, told = direction(leader.mode), leader.prob_better(runner_up)
        gains = sign * leader.curves.values[0, :-1].numpy()
        chance = np.where(np.isnan(told).all(1), np.nan, np.nan_to_num(told, nan=-1.0).max(1))
        allowed = limits_of(chance, np.maximum.accumulate(gains), sign * runner_up, share, most)
        return cls(tuple(leader.curves.steps[0, :-1].tolist()), tuple(allowed.tolist()))


def limits_of(
    chance: Float[np.ndarray, "C"], peaks: Float[np.ndarray, "C"], goal: float, share: float, most: float
) -> Float[np.ndarray, "C"]:
    """The limit at each cut-off of a leading run.

    Args:
        chance: its chance of beating ``goal`` at each cut-off, NaN if not known.
        peaks: its best value by each cut-off; larger is better.
        goal: what it had to beat; larger is better.
        share: as in :meth:`below_leader.of`.
        most: as in :meth:`below_leader.of`.
    """
    still_open = np.where((peaks < goal) & ~np.isnan(chance), chance, 1.0)
    return np.minimum(share * np.minimum.accumulate(still_open), most)
