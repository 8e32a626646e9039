"""Freeze-thaw: a method that pauses and resumes runs at no cost."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lcx.extrapolator import Extrapolator, load
from lcx.replay.methods.by_study import known_of
from lcx.replay.methods.choosing import Waiting
from lcx.replay.methods.legs import Leg, Order
from lcx.replay.task import Task
from lcx.stopping import freeze_thaw as turns
from lcx.stopping.false_stops import AHEAD
from lcx.stopping.hyperparameters import LEVELS, quantiles_at_end


@dataclass(frozen=True)
class freeze_thaw:
    """Pauses and resumes runs as :mod:`lcx.stopping.freeze_thaw` says, at no cost. A new run is trained to its first point.

    What a forecast reads depends on the order of the runs and on what was paused, so this method asks the model itself. A run is asked
    about anew whenever the choice would fall on it, so that what is known of the run chosen is up to date.

    Attributes:
        delta: a paused run is not resumed if its chance of beating the best is at most this.
        share: as in :func:`lcx.stopping.freeze_thaw.choose`.
        model: name of a shipped model, or the folder of a model.
        others: whether forecasts read the other runs as far as they had been trained by then; a model without a reader does not.
        choose: whether new runs are chosen by their hyperparameters, where the task has these (``lcx.stopping.hyperparameters``).
    """

    delta: float = 0.05
    share: float = turns.SHARE
    model: str | Path = "default"
    others: bool = True
    choose: bool = False

    def __call__(self, task: Task, order: Order, **_: object) -> Iterator[Leg]:
        """Gives the legs."""
        model, waiting = load(self.model, "cpu"), Waiting(task, order, self.choose)
        points, told, spent, best, turn = dict[int, int](), dict[int, tuple[float, float]](), 0.0, -math.inf, 0
        ends = dict[int, Float[np.ndarray, "K"]]()  # forecast when last asked, or reached
        while True:
            begun, fresh = list(points), set[int]()
            seen = np.array([points[run] for run in begun], dtype=int)
            at, over = task.steps[begun, seen - 1], seen >= task.counts[begun]
            left = np.where(over, 0.0, np.maximum(task.horizon[begun] - at, 1e-9))
            given = {"by": turns.goal(turn), "more": len(waiting) > 0, "delta": self.delta, "share": self.share}
            i = None
            while i is None:
                chance, gain = np.array([told[run] for run in begun]).reshape(-1, 2).T
                i = turns.choose(chance, gain, left, spent, **given)
                if i is None:
                    return
                if i < len(begun) and (run := begun[i]) not in fresh:
                    fresh.add(run)
                    (told[run], ends[run]), i = self._ask(model, task, run, points, best), None
            run, before = (waiting.next(ends), 0.0) if i == len(begun) else (begun[i], float(at[i]))
            reached = 1 + np.searchsorted(task.steps[run, : task.counts[run]], turns.STRETCH * before)
            points[run] = 1 if i == len(begun) else int(min(task.counts[run], reached))
            spent += float(task.steps[run, points[run] - 1]) - before
            best = max(best, float(task.peaks[run, points[run] - 1]))
            if points[run] == task.counts[run]:
                ends[run] = np.full(len(LEVELS), task.peaks[run, points[run] - 1])
            yield Leg(run, points[run], told.get(run, (math.nan,))[0])
            told[run], turn = (math.nan, math.nan), turn + 1  # NaN goes first, until it is asked

    def _ask(
        self, model: Extrapolator, task: Task, run: int, points: dict[int, int], best: float
    ) -> tuple[tuple[float, float], Float[np.ndarray, "K"]]:
        """The largest P(better than the gain ``best``) and expected improvement over the later steps of a run, and quantiles of its end."""
        n = points[run]
        own = np.full(len(LEVELS), task.peaks[run, n - 1])
        if not math.isfinite(own[0]):
            return (0.0, 0.0), own
        step, horizon = float(task.steps[run, n - 1]), float(task.horizon[run])
        further = {other: k for other, k in points.items() if other != run and task.steps[other, k - 1] > step}
        answer = model(
            task.values[run, :n],
            task.steps[run, :n],
            horizon=horizon,
            mode=task.mode,
            bounds=task.bounds,
            at=np.union1d(step + (horizon - step) * np.arange(1, AHEAD) / AHEAD, horizon),
            others=known_of(task, further) if self.others and model.reads_others else None,
        )
        ends = np.maximum(own, quantiles_at_end(answer)[0]) if self.choose and task.table is not None else own
        chance, gain = (float(x.max()) for x in (answer.prob_better(task.sign * best), answer.expected_improvement(task.sign * best)))
        return (chance, gain), ends
