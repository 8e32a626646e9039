"""Which run begins next, if the hyperparameters of all runs are known before they begin (``lcx.stopping.hyperparameters``)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lcx.extrapolator import load
from lcx.replay.methods.by_study import known_of
from lcx.replay.methods.legs import Leg, Method, Order
from lcx.replay.task import Task
from lcx.stopping.hyperparameters import FEWEST, LEVELS, expected_improvement, expected_of, quantiles_at_end


class Waiting:
    """The runs that have not begun. The next is the first of the order, or the one with the largest expected improvement.

    The forest is grown anew whenever a tenth more runs have begun, which saves most of its time and changes little.

    Args:
        task: of the runs.
        order: in which they begin if nothing tells them apart.
        choose: whether to go by the hyperparameters of the task; without these the order is kept.
    """

    def __init__(self, task: Task, order: Order, choose: bool) -> None:
        self._left = [int(run) for run in order]
        self._table = task.table if choose else None
        self._expected = None if self._table is None else expected_of(task.hyperparameters or ())
        self._gain, self._again = (np.zeros(len(task)), FEWEST) if self._expected is None else (self._expected, 1)

    def __len__(self) -> int:
        return len(self._left)

    def next(self, ends: dict[int, Float[np.ndarray, "K"]]) -> int:
        """Takes out the run to begin, given the :data:`~lcx.stopping.hyperparameters.LEVELS` of the end of each run begun, as gains."""
        if self._table is not None and len(ends) >= self._again:
            self._again = max(len(ends) + 1, int(1.1 * len(ends)))
            self._gain = expected_improvement(self._table, np.array(list(ends)), np.stack(list(ends.values())), self._expected)
        return self._left.pop(int(self._gain[self._left].argmax()))


@dataclass(frozen=True)
class chosen:
    """A method that trains one run after the other, with each run chosen by its hyperparameters, where the task has these.

    Attributes:
        method: one that goes through the order once and pauses no run.
        model: name or folder of a model that forecasts where stopped runs would have ended; None: they count by their best value.
    """

    method: Method
    model: str | Path | None = None

    def __call__(self, task: Task, order: Order, **given: object) -> Iterator[Leg]:
        """Gives the legs."""
        points, ends = dict[int, int](), dict[int, Float[np.ndarray, "K"]]()

        def one_by_one() -> Iterator[int]:
            waiting = Waiting(task, order, choose=True)
            while waiting:
                yield waiting.next(ends)

        # The method asks for a run when it is done with the one before, so the choice knows all that was trained by then.
        for leg in self.method(task, one_by_one(), **given):
            points[leg.run] = leg.points
            ends[leg.run] = self._end(task, leg.run, points)
            yield leg

    def _end(self, task: Task, run: int, points: dict[int, int]) -> Float[np.ndarray, "K"]:
        n = points[run]
        own = np.full(len(LEVELS), task.peaks[run, n - 1])
        if self.model is None or n == task.counts[run] or not np.isfinite(own[0]) or task.table is None:
            return own
        model, horizon = load(self.model, "cpu"), float(task.horizon[run])
        others = known_of(task, {other: k for other, k in points.items() if other != run}) if model.reads_others else None
        about = {"horizon": horizon, "mode": task.mode, "bounds": task.bounds, "at": [horizon], "others": others}
        answer = model(task.values[run, :n], task.steps[run, :n], **about)
        return np.maximum(own, quantiles_at_end(answer)[0])
