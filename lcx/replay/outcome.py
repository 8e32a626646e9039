"""What would have happened under one method, with one order of finished runs and one budget."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from lcx.replay.chances import Chances
from lcx.replay.methods import Method, Order
from lcx.replay.task import Task


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one method did with one order of runs; n runs, user's units.

    Attributes:
        points: (n,) points trained of each run, 0 if never begun.
        spent: (n,) steps trained of each run.
        stopped: (n,) whether the method stopped the run before its end.
        false_stop: (n,) whether this was a false stop (top of ``lcx.replay.comparison``).
        would_be_best: (n,) whether the run would become the best (also there).
        to_beat: (n,) the best value seen when the run was last trained, also of the run itself; NaN if never begun.
        chance: (n,) the probability behind the last decision about the run; NaN if there was none.
        cost: (S,) total steps spent at each improvement of the best value.
        best: (S,) the best value after each improvement.
        total: total steps spent.
    """

    points: Int[np.ndarray, "n"]
    spent: Float[np.ndarray, "n"]
    stopped: Bool[np.ndarray, "n"]
    false_stop: Bool[np.ndarray, "n"]
    would_be_best: Bool[np.ndarray, "n"]
    to_beat: Float[np.ndarray, "n"]
    chance: Float[np.ndarray, "n"]
    cost: Float[np.ndarray, "S"]
    best: Float[np.ndarray, "S"]
    total: float

    def best_at(self, costs: Any) -> Float[np.ndarray, "C"]:
        """The best value seen once this many steps are spent; NaN before the first value."""
        place = np.searchsorted(self.cost, np.asarray(costs, dtype=np.float64), side="right")
        return np.concatenate([[np.nan], self.best])[place]

    def cost_of(self, value: float, mode: str) -> float:
        """Steps spent until a value as good as ``value`` was seen; inf if it never was."""
        good = self.best >= value if mode == "max" else self.best <= value
        return float(self.cost[good.argmax()]) if good.any() else math.inf

    def explained(self, task: Task) -> list[dict[str, Any]]:
        """Each false stop: run, step, chance, to_beat, peak, peak_step, and a sentence, ``reason``."""
        rows = []
        for run in self.false_stop.nonzero()[0]:
            step, later = task.steps[run, self.points[run] - 1], task.gains[run, self.points[run] :]
            at = self.points[run] + int(later.argmax())
            row = {"run": task.names[run], "step": step, "chance": self.chance[run], "to_beat": self.to_beat[run]}
            row |= {"peak": task.values[run, at], "peak_step": task.steps[run, at]}
            said = "" if math.isnan(self.chance[run]) else f" with a chance of {self.chance[run]:.2g}"
            row["reason"] = (
                f"{task.names[run]} was stopped at step {step:g}{said} to beat {self.to_beat[run]:.6g}; "
                f"it reached {row['peak']:.6g} at step {row['peak_step']:g}"
            )
            rows.append({name: x if isinstance(x, str) else float(x) for name, x in row.items()})
        return rows


def replay(task: Task, method: Method, *, order: Order | None = None, budget: float = math.inf, chances: Chances | None = None) -> Outcome:
    """Lets a method train the runs of a task until the budget is spent.

    Args:
        task: the finished runs.
        method: of ``lcx.replay.methods``, or any callable like them.
        order: of the runs, a permutation of their indices; default that of the task.
        budget: most steps to spend, user's unit.
        chances: the model's predictions, for methods that need them.
    """
    n, sign = len(task), task.sign
    points, chance, to_beat = np.zeros(n, dtype=int), np.full(n, np.nan), np.full(n, np.nan)
    spent, cut, hopeful = np.zeros(n), np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    total, best, trace = 0.0, -np.inf, []
    for leg in method(task, [int(run) for run in (range(n) if order is None else order)], budget=budget, chances=chances):
        run, start, end = leg.run, int(points[leg.run]), leg.points
        if end <= start:
            continue
        costs = total - spent[run] + task.steps[run, start:end]
        if costs[-1] > budget:
            end, cut[run] = start + int((costs <= budget).sum()), True
        hopeful[run] |= task.peaks[run, -1] > best
        gains = task.gains[run, start:end]
        if end > start and gains.max() > best:
            peaks = np.maximum.accumulate(gains)
            new = peaks > np.maximum(best, np.concatenate([[-np.inf], peaks[:-1]]))
            trace += zip(costs[: len(new)][new], sign * peaks[new], strict=True)
            best = peaks[-1]
        if end > start:
            points[run], spent[run], total = end, task.steps[run, end - 1], float(costs[end - start - 1])
        chance[run], to_beat[run] = leg.chance, sign * best
        if cut[run]:
            total = budget
            break
    stopped = (points > 0) & (points < task.counts) & ~cut
    later = np.array([task.gains[run, points[run] :].max(initial=-np.inf) for run in range(n)])
    false_stop = stopped & (later > np.nan_to_num(sign * to_beat, nan=np.inf))
    cost, shown = np.array(trace, dtype=np.float64).reshape(-1, 2).T
    return Outcome(points, spent, stopped, false_stop, hopeful & (points > 0), to_beat, chance, cost, shown, total)
