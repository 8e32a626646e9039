"""The limit that keeps the rate of false stops below a given one, found on the finished runs of a task."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from lcx.extrapolator import load
from lcx.replay.chances import Chances
from lcx.replay.task import Task
from lcx.stopping.false_stops import scores_of
from lcx.stopping.rules import calibrated_delta

ORDERS = 40  # random orders in which the runs are taken to have come


def becoming_best(
    task: Task, chances: Chances, *, orders: int = ORDERS, seed: int = 1, min_points: int = 2, confirm: int = 1
) -> tuple[Float[np.ndarray, "P"], int]:
    """A score for every time that a run, trained to its end, becomes the best in a random order of the runs.

    The score is the smallest chance over all looks before the run beats the best value of the runs before it. A rule with a higher limit
    would have stopped the run. With ``confirm`` c: the largest of c chances in a row, and the smallest of these.

    Args:
        task: the finished runs.
        chances: the model's predictions, ``lcx.replay.forecast(task)``.
        orders: number of random orders. They share the runs, so their scores are not independent.
        seed: of the orders.
        min_points: values needed before the first look.
        confirm: number of verdicts to stop needed in a row.

    Returns:
        The scores, inf for a run that no look could have stopped; and the number of different runs among them.
    """
    generator, scores, runs = np.random.default_rng(seed), [], set()
    for _ in range(orders):
        best = -np.inf
        for run in generator.permutation(len(task)).tolist():
            peaks = task.peaks[run, : task.counts[run]]
            if peaks[-1] > best > -np.inf:
                looked = peaks < best
                looked[: min_points - 1] = looked[-1] = False
                told = np.where(looked, chances.of(run, task.sign * best)[: len(peaks)], np.inf)
                told = np.concatenate([np.full(confirm - 1, np.inf), np.where(np.isnan(told), np.inf, told)])
                scores.append(np.lib.stride_tricks.sliding_window_view(told, confirm).max(1).min())
                runs.add(run)
            best = max(best, peaks[-1])
    return np.array(scores), len(runs)


def delta_for(task: Task, chances: Chances, rate: float, **looks: int) -> tuple[float, float]:
    """The largest delta of the default rule that stops at most a share ``rate`` of the runs that would become the best.

    Args:
        task: the finished runs; new runs should be like them.
        chances: the model's predictions, ``lcx.replay.forecast(task)``.
        rate: the allowed share, in (0, 1).
        looks: orders, seed, min_points, confirm of :func:`becoming_best`.

    Returns:
        delta, and the bound on the share that :func:`lcx.stopping.calibrated_delta` gives; -1.0 and 0.0 if there are too few runs.

    Raises:
        ValueError: rate outside (0, 1).
    """
    scores, _ = becoming_best(task, chances, **looks)
    return calibrated_delta(scores, np.ones(len(scores), dtype=bool), rate)


def delta_in_study(
    task: Task, model: str | Path, rate: float, *, orders: int = ORDERS, seed: int = 1, min_points: int = 2
) -> tuple[float, float]:
    """The same for forecasts that read the runs before, each trained to its end.

    Args:
        task: as in :func:`delta_for`.
        model: name or folder of a model with a reader.
        rate: as in :func:`delta_for`.
        orders: as in :func:`becoming_best`.
        seed: of the orders.
        min_points: values needed before the first look.

    Returns:
        As :func:`delta_for`.
    """
    generator, asked, scores = np.random.default_rng(seed), load(model, "cpu"), list[float]()
    runs = [(task.steps[run][seen], task.values[run][seen]) for run, seen in enumerate(np.isfinite(task.values)) if seen.any()]
    horizon, settings = task.horizon[np.isfinite(task.values).any(1)], {"mode": task.mode, "bounds": task.bounds, "min_points": min_points}
    for _ in range(orders):
        order = generator.permutation(len(runs))
        scores += scores_of(asked, [runs[i] for i in order], horizon=horizon[order], **settings)[0].tolist()
    return calibrated_delta(scores, np.ones(len(scores), dtype=bool), rate)
