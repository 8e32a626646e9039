"""Methods that use nothing but the values of the runs."""

import math
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np

from lcx.replay.methods.legs import Leg, Order
from lcx.replay.task import Task


@dataclass(frozen=True)
class no_stopping:
    """Trains every run to its end."""

    def __call__(self, task: Task, order: Iterable[int], **_: object) -> Iterator[Leg]:
        """Gives the legs."""
        return (Leg(run, int(task.counts[run])) for run in order)


@dataclass(frozen=True)
class patience:
    """Stops a run after ``k`` points in a row, ``k`` >= 1, none of which beats the best value of the run before them."""

    k: int

    def __call__(self, task: Task, order: Iterable[int], **_: object) -> Iterator[Leg]:
        """Gives the legs."""
        for run in order:
            count = int(task.counts[run])
            peaks = task.peaks[run, :count]
            stale = peaks[self.k :] <= peaks[: -self.k]
            yield Leg(run, int(stale.argmax()) + self.k + 1 if stale.any() else count)


@dataclass(frozen=True)
class median_rule:
    """Stops a run if its best value is worse than the median, over earlier runs, of their mean values up to the same step.

    Attributes:
        fewest: number of earlier runs that must have reached that step; only these count.

    Source: Golovin et al., "Google Vizier", KDD 2017, section 3.2.1.
    """

    fewest: int = 5

    def __call__(self, task: Task, order: Iterable[int], **_: object) -> Iterator[Leg]:
        """Gives the legs."""
        with np.errstate(over="ignore"):
            means = np.cumsum(np.where(np.isnan(task.steps), 0, task.gains), axis=1) / np.arange(1, task.steps.shape[1] + 1)
        grid = np.unique(task.steps[~np.isnan(task.steps)])
        records: list[list[float]] = [[] for _ in grid]  # of each step: mean values of the runs that reached it, sorted
        for run in order:
            points = count = int(task.counts[run])
            for k in range(1, count):
                record = records[int(np.searchsorted(grid, task.steps[run, k - 1]))]
                if len(record) >= self.fewest and task.peaks[run, k - 1] < median(record):
                    points = k
                    break
            at = np.searchsorted(task.steps[run, :points], grid[grid <= task.steps[run, points - 1]], side="right") - 1
            for record, k in zip(records, at.tolist(), strict=False):
                if k >= 0:
                    insort(record, float(means[run, k]))
            yield Leg(run, points)


@dataclass(frozen=True)
class asha:
    """Asynchronous successive halving in its stopping form, one run at a time.

    Rungs lie at eta^j times the first step of the task, below the horizon. At a rung a run goes on if at most a share 1 / eta of the runs
    that reached it earlier had a better best value. The first eta - 1 runs at a rung always go on.

    Attributes:
        eta: > 1.
        rungs: largest number of rungs, from the first step on.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020; the stopping form is that of Ray Tune and
    Syne Tune.
    """

    eta: float = 3
    rungs: int | None = None

    def __call__(self, task: Task, order: Iterable[int], **_: object) -> Iterator[Leg]:
        """Gives the legs."""
        at = [np.maximum(1, task.points_at(step)) for step in _rungs(task, self.eta)[: self.rungs]]
        records: list[list[float]] = [[] for _ in at]  # of each rung, sorted
        for run in order:
            points = count = int(task.counts[run])
            for record, there in zip(records, at, strict=True):
                k = int(there[run])
                if k >= count:
                    break
                value, before = float(task.peaks[run, k - 1]), len(record)
                insort(record, value)
                better = before + 1 - bisect_right(record, value)
                if before + 1 >= self.eta and better > before / self.eta:
                    points = k
                    break
            yield Leg(run, points)


def first_points(share: float) -> asha:
    """Stops a run after the first step if more than a ``share`` of the earlier runs had a better value there: ASHA with one rung."""
    return asha(1 / share, rungs=1)


@dataclass(frozen=True)
class successive_halving:
    """Synchronous successive halving: one bracket of new runs after the other. Runs pause at rungs and resume at no cost.

    Each bracket trains eta^s runs to the first step, where s is the number of rungs below the horizon. The best 1 / eta of them are then
    trained to the next rung, and so on; the last run is trained to its end.

    Attributes:
        eta: > 1.

    Source: Jamieson and Talwalkar, AISTATS 2016.
    """

    eta: float = 3

    def __call__(self, task: Task, order: Order, **_: object) -> Iterator[Leg]:
        """Gives the legs."""
        rungs, left = _rungs(task, self.eta), [int(run) for run in order]
        while left:
            size = math.ceil(self.eta ** len(rungs))
            yield from _bracket(task, left[:size], rungs, self.eta)
            left = left[size:]


@dataclass(frozen=True)
class hyperband:
    """Brackets of successive halving that begin, in turn, at the first rung, the second, ..., the horizon. Runs resume at no cost.

    Attributes:
        eta: > 1.

    Source: Li et al., "Hyperband", JMLR 2018.
    """

    eta: float = 3

    def __call__(self, task: Task, order: Order, **_: object) -> Iterator[Leg]:
        """Gives the legs."""
        rungs, left = _rungs(task, self.eta), [int(run) for run in order]
        while left:
            for skipped in range(len(rungs) + 1):
                s = len(rungs) - skipped
                size = math.ceil((len(rungs) + 1) / (s + 1) * self.eta**s)
                yield from _bracket(task, left[:size], rungs[skipped:], self.eta)
                left = left[size:]


@dataclass(frozen=True)
class top_after_first:
    """Trains runs to the first step, then the best ``k`` of them to their end, the best first. Runs resume at no cost.

    It begins as many runs as it can while the budget still allows ``k`` full runs. If it can begin all of them, the rest of the budget goes
    to the next best.

    Source: Egele et al., "Is One Epoch All You Need For Multi-Fidelity Hyperparameter Optimization?", 2023, arXiv 2307.15422.
    """

    k: int

    def __call__(self, task: Task, order: Order, *, budget: float = math.inf, **_: object) -> Iterator[Leg]:
        """Gives the legs."""
        runs = np.array(order)
        spent = np.cumsum(task.steps[runs, 0])
        begun = runs[: max(1, int((spent <= budget - self.k * np.median(task.horizon)).sum()))]
        yield from (Leg(int(run), 1) for run in begun)
        best_first = begun[np.argsort(-task.peaks[begun, 0], kind="stable")]
        chosen = best_first if len(begun) == len(runs) and math.isfinite(budget) else best_first[: self.k]
        yield from (Leg(int(run), int(task.counts[run])) for run in chosen)


def _rungs(task: Task, eta: float) -> list[float]:
    """The steps first * eta^j below the horizon, where first and the horizon are medians over runs."""
    first, horizon = float(np.median(task.steps[:, 0])), float(np.median(task.horizon))
    return [first * eta**j for j in range(max(1, math.ceil(math.log(horizon / first, eta) - 1e-9)))]


def _bracket(task: Task, runs: Order, rungs: list[float], eta: float) -> Iterator[Leg]:
    """One bracket: all runs to the first rung, the best 1 / eta of them to the next, ..., those left to their ends."""
    alive = np.array(runs, dtype=int)
    for step in rungs:
        points = np.minimum(np.maximum(1, task.points_at(step)), task.counts)
        yield from (Leg(int(run), int(points[run])) for run in alive)
        alive = alive[np.argsort(-task.peaks[alive, points[alive] - 1], kind="stable")][: max(1, int(len(alive) / eta + 1e-9))]
    yield from (Leg(int(run), int(task.counts[run])) for run in alive if len(runs))
