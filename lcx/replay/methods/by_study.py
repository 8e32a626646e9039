"""Methods that decide by forecasts which read the study: the other runs as far as they had been trained by then, and never further.

Nothing can be predicted beforehand, for what a forecast reads depends on the order of the runs and on what was stopped. So these methods
ask the model themselves.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from lcx.extrapolator import Extrapolator, load
from lcx.replay.methods.by_chance import in_a_row
from lcx.replay.methods.legs import Leg
from lcx.replay.task import Task
from lcx.stopping.false_stops import AHEAD, READ, in_passes, spaced


@dataclass(frozen=True)
class studied:
    """Stops a run if its predicted chance of becoming the best is at most ``delta``, unless it holds the best value: the default rule of
    ``lcx.EarlyStopper``, whose forecasts read all runs before.

    Attributes:
        delta: the limit, a probability.
        model: name of a shipped model, or the folder of a model with a reader.
        min_points: values needed before the first decision.
        confirm: number of decisions to stop needed in a row.
    """

    delta: float = 0.05
    model: str | Path = "default"
    min_points: int = 2
    confirm: int = 1

    def __call__(self, task: Task, order: Iterable[int], **_: object) -> Iterator[Leg]:
        """Gives the legs."""
        model, best, points = load(self.model, "cpu"), -math.inf, dict[int, int]()
        for run in order:
            count = int(task.counts[run])
            seen, told = count, math.nan
            if points and count > self.min_points:
                cuts = spaced(self.min_points, count - 1)
                chance = _chances(model, task, run, cuts, best, known_of(task, points))
                stop = in_a_row((chance <= self.delta) & (task.peaks[run, cuts - 1] < best), self.confirm)
                if stop.any():
                    seen, told = int(cuts[stop.argmax()]), float(chance[stop.argmax()])
            points[run], best = seen, max(best, float(task.peaks[run, seen - 1]))
            yield Leg(run, seen, told)


def known_of(task: Task, points: dict[int, int]) -> list[tuple[Any, Any]]:
    """What was seen of the runs that have a value, the last ones of many."""
    some = [(run, n) for run, n in points.items() if np.isfinite(task.peaks[run, n - 1])][-READ:]
    return [(task.steps[run, :n], task.values[run, :n]) for run, n in some]


def _chances(
    model: Extrapolator, task: Task, run: int, cuts: Int[np.ndarray, "C"], best: float, known: list[tuple[Any, Any]]
) -> Float[np.ndarray, "C"]:
    """The largest P(better than the gain ``best``) over the later steps, at some cut-offs of a run; 0 before its first value."""
    seen, horizon = int(cuts[-1]), float(task.horizon[run])
    out, blank = np.zeros(len(cuts)), int((~np.isfinite(task.peaks[run, cuts - 1])).sum())
    cuts = cuts[blank:]
    if not len(cuts):
        return out
    # One call per cut-off would cost as many encodings; of one cut-off, all steps lie ahead.
    start = float(task.steps[run, seen - 1]) if len(cuts) == 1 else 0.0
    at = np.unique(np.append(start + (horizon - start) * np.arange(1, AHEAD + 1) / AHEAD, horizon))
    asked, told = {"horizon": horizon, "mode": task.mode, "bounds": task.bounds, "others": known}, []
    for some in in_passes(task.values[run], cuts):
        ahead, n = at[at > task.steps[run, some[0] - 1]], some[-1]
        answer = model.backtest(task.values[run, :n], task.steps[run, :n], cutoffs=some, at=ahead, **asked)
        chance = answer.prob_better(task.sign * best) if math.isfinite(best) else np.ones(answer.at.shape)
        told.append(np.nan_to_num(chance, nan=0.0).max(-1))
    out[blank:] = np.concatenate(told)
    return out
