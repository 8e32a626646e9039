"""Methods that decide by the predictions of a model; they need ``chances``."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from lcx.replay.chances import Chances
from lcx.replay.methods.legs import Leg
from lcx.replay.task import Task
from lcx.stopping.leading import MOST, SHARE, limits_of


@dataclass(frozen=True)
class predicted:
    """Stops a run if its predicted chance of becoming the best is at most ``delta``.

    Attributes:
        delta: the limit, a probability.
        what: "ever": the largest P(y_t better than best) over the later steps t; "end": P(y better than best) at the horizon.
        own: whether a run also has to beat its own best value; then the best run too is stopped once it is not expected to improve. Else
            best is that of the other runs, and a run that is as good goes on (the default rule of ``lcx.EarlyStopper``).
        min_points: values needed before the first decision.
        confirm: number of decisions to stop needed in a row.
    """

    delta: float = 0.05
    what: str = "ever"
    own: bool = False
    min_points: int = 2
    confirm: int = 1

    def __call__(self, task: Task, order: Iterable[int], *, chances: Chances | None = None, **_: object) -> Iterator[Leg]:
        """Gives the legs."""
        if chances is None:
            raise ValueError("expected chances for a method that predicts, got None; make them with lcx.replay.forecast(task)")
        best = -np.inf
        for run in order:
            count = int(task.counts[run])
            peaks = task.peaks[run, :count]
            goal = np.maximum(best, peaks) if self.own else np.full(count, best)
            chance = chances.of(run, task.sign * goal, self.what)
            agreed = (chance <= self.delta) & (self.own | (peaks < best))
            agreed[: self.min_points - 1] = agreed[-1] = False
            agreed = in_a_row(agreed, self.confirm)
            points = int(agreed.argmax()) + 1 if agreed.any() else count
            best = max(best, peaks[points - 1])
            yield Leg(run, points, float(chance[points - 1]) if agreed.any() else math.nan)


@dataclass(frozen=True)
class led:
    """Stops runs by :class:`lcx.stopping.below_leader`, with new limits whenever another run becomes first or second.

    The first run is trained to its end. Until a second run has been, the chances of the leading run are those of reaching its own best
    value.

    Attributes:
        share: as in :meth:`lcx.stopping.below_leader.of`.
        most: as in :meth:`lcx.stopping.below_leader.of`.
        min_points: values needed before the first decision.
    """

    share: float = SHARE
    most: float = MOST
    min_points: int = 2

    def __call__(self, task: Task, order: Iterable[int], *, chances: Chances | None = None, **_: object) -> Iterator[Leg]:
        """Gives the legs."""
        if chances is None:
            raise ValueError("expected chances for a method that predicts, got None; make them with lcx.replay.forecast(task)")
        leading: list[tuple[float, int, int]] = []  # the two best runs: best value, points, run
        finished, made_by, grid, allowed = 0, (), np.zeros(0), np.zeros(0)
        for run in order:
            count = points = int(task.counts[run])
            peaks, steps = task.peaks[run, :count], task.steps[run, :count]
            chance = math.nan
            if leading and made_by != (finished > 1, *leading):
                made_by, (best, seen, leader) = (finished > 1, *leading), leading[0]
                goal = leading[1][0] if finished > 1 else best
                told = chances.of(leader, task.sign * goal)[:seen]
                grid, allowed = task.steps[leader, :seen], limits_of(told, task.peaks[leader, :seen], goal, self.share, self.most)
            if leading:
                told = chances.of(run, task.sign * np.maximum(leading[0][0], peaks))
                passed = np.searchsorted(grid, steps, side="right")
                stop = (told <= np.concatenate([[-1.0], allowed])[passed]) & (np.arange(1, count + 1) >= self.min_points)
                stop[-1] = False
                if stop.any():
                    points = int(stop.argmax()) + 1
                    chance = float(told[points - 1])
            finished += points == count
            leading = sorted([*leading, (float(peaks[points - 1]), points, run)], reverse=True)[:2]
            yield Leg(run, points, chance)


def in_a_row(agreed: Bool[np.ndarray, "L"], k: int) -> Bool[np.ndarray, "L"]:
    """Whether each entry and the ``k`` - 1 entries before it are all True."""
    total = np.cumsum(np.concatenate([np.zeros(k, dtype=int), agreed]))
    return total[k:] - total[:-k] == k
