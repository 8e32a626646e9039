"""A limit that follows the leading run: how small a chance did it have, at its worst moment so far, and yet came to lead?

On some tasks a model gives every run that ends well a few per cent for long, on others far more; one limit for all is too high here and too
low there. The leader's own history tells: a run is to stop when its chance is a share of the smallest that the leader had had by then.
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
    """Stops when P(y_t better than best) at every later step t is at most the limit of the last step seen. ``probability``: the largest.

    Here best is the better of the value to beat and the run's own best: the leading run too is stopped when it is not expected to improve;
    ``spare_incumbent`` around this rule spares it. The limits come from :meth:`of` and are to be made anew when another run leads.

    Attributes:
        steps: rising, user's unit.
        limits: one per step, probabilities, never rising. Before the first step nothing is stopped.

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
        """The rule by a leading run.

        Args:
            leader: back-test of the leading run alone, ``Extrapolator.backtest(values, steps, horizon=..., mode=...)``.
            runner_up: what it had to beat, the best value of all other runs, user's unit; while no other run has been trained to its end,
                the leading run's own best value.
            share: of the smallest chance that the leader had had, > 0.
            most: highest limit, a probability < 1.

        Raises:
            ValueError: not the back-test of one curve at all its cut-offs, as it is by default; another argument breaks a rule above.
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
    """The limit at each cut-off of a leader with these chances of beating ``goal`` and these best values so far (larger is better)."""
    still_open = np.where((peaks < goal) & ~np.isnan(chance), chance, 1.0)
    return np.minimum(share * np.minimum.accumulate(still_open), most)
