"""What stopping rules would have done on the finished runs of one task.

    task = task_from_table(read(path), "val_loss", mode="min")         # or as_task(values, steps, mode=..., horizon=..., names=...)
    chances = forecast(task, "default", progress=True)                 # every cut-off of every run, predicted once
    outcome = replay(task, predicted(0.05), chances=chances)           # one method, one order of runs, one budget
    table = compare(task, standard_methods(), chances=chances, orders=40)

A *method* (``lcx.replay.methods``) decides which run to train next and how far. It sees only what has been trained so far. Methods:
``no_stopping()``, ``patience(k)``, ``median_rule()``, ``first_points(share)``, ``asha(eta)``, ``successive_halving(eta)``,
``hyperband(eta)``, ``top_after_first(k)``. Methods that use the predictions of a model, and so need ``chances``: ``predicted(delta, ...)``
and ``lcx.replay.led(...)``. Methods whose forecasts depend on what was seen, and so ask a model themselves: ``lcx.replay.studied(delta)``
and ``lcx.replay.freeze_thaw(delta)``. ``standard_methods()`` is a dictionary of those worth a table. Runs are
trained one at a time. A stopped run is never resumed. ``successive_halving``, ``hyperband``, ``top_after_first`` and ``freeze_thaw``
pause runs and resume them at no cost, which favours them; with these, a run that is never resumed counts as stopped.

A *false stop* is a run that a method stopped although a later value of the run is better than every value seen by then, those of the run
included. ``would_be_best`` are the runs begun whose best value, over all their points, is better than every value seen when they were
begun or resumed; every false stop is one of them. ``false_rate`` is false stops / would_be_best, both summed over orders. This is the
share that ``lcx.stopping.calibrated_delta`` bounds. A run cut off by the end of the budget was not stopped.

*Regret* is (best value of all runs - best value seen) / (best value of all runs - median over runs of their best values), at most 1, in the
direction of the mode. It has no unit; ``Comparison.unit`` is the denominator. *Speed-up* compares mean regrets over orders: the steps that
no stopping takes to reach its final regret, divided by the steps that the method takes to reach it. If the method never reaches it: the
steps that no stopping takes to reach the final regret of the method, divided by the budget, a number below 1.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from tqdm.auto import tqdm

from lcx.replay.chances import Chances
from lcx.replay.methods import (
    Method,
    Order,
    asha,
    freeze_thaw,
    hyperband,
    median_rule,
    no_stopping,
    patience,
    predicted,
    successive_halving,
    top_after_first,
)
from lcx.replay.outcome import Outcome, replay
from lcx.replay.task import Task

GRID = 1000  # number of costs at which regret is computed


def standard_methods(model: str | Path = "default") -> dict[str, Method]:
    """The methods worth a table, by name; the first is no stopping. ``model`` is that of the chances: freeze-thaw asks it by itself."""
    return {
        "no stopping": no_stopping(),
        **{f"patience {k}": patience(k) for k in (1, 5, 10, 20)},
        "median rule": median_rule(),
        "successive halving": successive_halving(),
        "ASHA": asha(),
        "Hyperband": hyperband(),
        **{f"top {k} after 1": top_after_first(k) for k in (1, 10)},
        **{f"lcx {delta:g}": predicted(delta) for delta in (0.05, 0.01, 0.001)},
        "lcx freeze-thaw": freeze_thaw(model=model, others=False),
    }


@dataclass(frozen=True, eq=False)
class Comparison:
    """One method over several orders of runs, compared with no stopping.

    Attributes:
        outcomes: one per order.
        costs: (C,) steps spent, evenly spaced up to the budget.
        regret: (C,) mean regret over orders at each cost (top of this module).
        unit: a regret of 1, in the unit of the metric.
        speed_up: over no stopping (top of this module).
        saved: 1 - steps spent / steps of all runs begun had they been trained to their ends, over all orders.
    """

    outcomes: list[Outcome]
    costs: Float[np.ndarray, "C"]
    regret: Float[np.ndarray, "C"]
    unit: float
    speed_up: float
    saved: float

    @property
    def false_rate(self) -> float:
        """False stops / runs that would be best, both summed over orders; NaN if there are no such runs."""
        would = sum(int(one.would_be_best.sum()) for one in self.outcomes)
        return sum(int(one.false_stop.sum()) for one in self.outcomes) / would if would else math.nan

    def row(self) -> dict[str, float]:
        """The results as plain numbers; counts are means over orders."""

        def mean(name: str) -> float:
            return float(np.mean([getattr(one, name).sum() for one in self.outcomes]))

        quarter, half = (float(self.regret[np.searchsorted(self.costs, share * self.costs[-1] * (1 - 1e-9))]) for share in (0.25, 0.5))
        return {
            "speed_up": self.speed_up,
            "regret_quarter": quarter,
            "regret_half": half,
            "regret_end": float(self.regret[-1]),
            "regret_mean": float(self.regret.mean()),
            "begun": float(np.mean([(one.points > 0).sum() for one in self.outcomes])),
            "stopped": mean("stopped"),
            "false_stops": mean("false_stop"),
            "would_be_best": mean("would_be_best"),
            "false_rate": self.false_rate,
            "saved": self.saved,
        }


def compare(
    task: Task,
    methods: Mapping[str, Method],
    *,
    orders: int | Iterable[Order] = 40,
    seed: int = 0,
    budget: float | None = None,
    chances: Chances | None = None,
    progress: bool = False,
) -> dict[str, Comparison]:
    """Replays each method with the same orders of runs.

    Args:
        task: the finished runs.
        methods: by name.
        orders: number of random orders, or a list of orders; ``[range(len(task))]`` is the recorded order.
        seed: of the random orders.
        budget: most steps to spend, user's unit; default the steps of all runs trained to their ends.
        chances: the model's predictions, for methods that need them.
        progress: whether to show a bar.

    Returns:
        The comparison of each method, by name.
    """
    if isinstance(orders, int):
        generator = np.random.default_rng(seed)
        orders = [generator.permutation(len(task)) for _ in range(orders)]
    listed = list(orders)
    limit = float(task.cost.sum()) if budget is None else budget
    costs = limit * np.arange(1, GRID + 1) / GRID
    given = {"budget": limit, "chances": chances}
    reference = [replay(task, no_stopping(), order=order, **given) for order in listed]
    slow, compared = mean_regret(task, reference, costs), {}
    for name, method in tqdm(methods.items(), desc="replay", unit="method", disable=not progress):
        outcomes = [replay(task, method, order=order, **given) for order in listed]
        regret = mean_regret(task, outcomes, costs)
        begun = sum(float(task.cost[one.points > 0].sum()) for one in outcomes)
        saved = 1 - sum(one.total for one in outcomes) / begun
        compared[name] = Comparison(outcomes, costs, regret, unit_of_regret(task), speed_up(slow, regret), saved)
    return compared


def unit_of_regret(task: Task) -> float:
    """Best value of all runs - median over runs of their best values, as a positive number; 1 if that is 0."""
    peaks = task.peaks[np.isfinite(task.peaks[:, -1]), -1]
    return (float(peaks.max() - np.median(peaks)) if len(peaks) else 0.0) or 1.0


def mean_regret(task: Task, outcomes: list[Outcome], costs: Float[np.ndarray, "C"]) -> Float[np.ndarray, "C"]:
    """Mean over outcomes of the regret at each cost (top of this module); 1 before the first value."""
    best, unit = task.sign * task.best, unit_of_regret(task)
    short = np.stack([(best - task.sign * one.best_at(costs)) / unit for one in outcomes])
    return np.minimum(np.nan_to_num(short, nan=1.0), 1.0).mean(0)


def speed_up(reference: Float[np.ndarray, "C"], regret: Float[np.ndarray, "C"]) -> float:
    """The speed-up of a method over the reference, from their mean regrets (top of this module).

    Args:
        reference: (C,) mean regret of no stopping at costs spaced evenly up to the budget.
        regret: (C,) mean regret of the method.
    """
    target = max(reference[-1], regret[-1]) + 1e-12
    taken = int((reference <= target).argmax()) + 1
    return taken / (int((regret <= target).argmax()) + 1) if regret[-1] <= reference[-1] + 1e-12 else taken / len(regret)
