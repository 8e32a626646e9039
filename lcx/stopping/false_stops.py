"""A limit for a wanted rate of false stops, when forecasts read the study.

A false stop ends a run that would have become the best. Whether the default rule makes one depends on the smallest chance that the run had
at any look before it passed the best value: its score. The limit that stops at most a share of such runs is a quantile of scores. While
nothing is known of a study, the scores are those of the studies of the early-stopping benchmark; an earlier study of one's own that was
trained without stopping gives scores that fit better.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from lcx.extrapolator import Extrapolator, load
from lcx.stopping.intake import as_bounds, as_horizon
from lcx.stopping.rules import calibrated_delta
from lcx.stopping.study import as_history

RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
LIMITS = (0.0011, 0.002, 0.0094, 0.028, 0.077, 0.13, 0.28)  # of these rates, made by benchmarks/stopping/rate.py
LOOKS, AHEAD, READ = 16, 6, 30  # cut-offs looked at, geometrically spaced; steps predicted; other runs read
Run = tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]


def usual_limit(rate: float) -> float:
    """The limit for a rate of false stops on studies of which nothing is known, between those of RATES linear on both logarithms.

    Raises:
        ValueError: the rate is outside those known.
    """
    if not RATES[0] <= rate <= RATES[-1]:
        raise ValueError(f"expected a rate of false stops from {RATES[0]} to {RATES[-1]}, got {rate}; write 0.05 for 5 %")
    return float(np.exp(np.interp(math.log(rate), np.log(RATES), np.log(LIMITS))))


def limit_for(
    rate: float,
    history: Any = None,
    *,
    horizon: Any = None,
    mode: str | None = None,
    bounds: Any = (None, None),
    model: str | Path = "default",
    orders: int = 10,
) -> float:
    """The ``delta`` of ``EarlyStopper`` with which about a share ``rate`` of the runs that would become the best are stopped before.

    On families of tasks that it was not set on, the usual limit for 5, 10, 20 % stopped 9, 13, 20 % in the mean over families, few of
    them on most, but 33 to 51 % on returns of reinforcement learning (benchmarks/README.md). A history of one's own fits better.

        stopper = lcx.EarlyStopper(100, "max", delta=lcx.stopping.limit_for(0.05))

    Args:
        rate: the share, from 0.01 to 0.5.
        history: an earlier study that was trained without stopping, as in ``EarlyStopper``; it needs ``horizon`` and ``mode``. The limit is
            taken from it if it has 1 / ``rate`` finished runs or more.
        horizon: last step of its runs. Runs that ended before are left out.
        mode: "max" or "min".
        bounds: of the metric.
        model: name or folder of the model that will be asked.
        orders: number of random orders of the earlier runs.

    Raises:
        ValueError, TypeError: an argument breaks a rule above.

    Source: split conformal prediction, see :func:`lcx.stopping.calibrated_delta`.
    """
    usual = usual_limit(rate)
    if history is None:
        return usual
    if horizon is None or mode is None:
        raise ValueError(f"expected horizon and mode with a history, got {horizon} and {mode}; give those of its runs")
    last, limits = as_horizon(horizon), as_bounds(bounds)
    runs = [np.array(run.read).T for run in as_history(history, limits) if run.finished(last) and run.read]
    generator, scores = np.random.default_rng(0), list[float]()
    for _ in range(orders):
        chosen = [(runs[i][0], runs[i][1]) for i in generator.permutation(len(runs))]
        scores += scores_of(load(model, "cpu"), chosen, horizon=last, mode=mode, bounds=limits).tolist()
    own, bound = calibrated_delta(scores, np.ones(len(scores), dtype=bool), rate)
    return own if bound and len(runs) * rate >= 1 else usual  # orders share their runs: few runs say little, however many orders


def scores_of(
    model: Extrapolator, runs: Sequence[Run], *, horizon: float, mode: str, bounds: tuple[float | None, float | None], min_points: int = 2
) -> Float[np.ndarray, "m"]:
    """The score of each run that becomes the best of those before it, in this order, all trained to their ends.

    Args:
        model: with a reader: the forecast of a run reads the runs before it.
        runs: (steps, values) of finished runs, values finite, user's units.
        horizon: last step of a run.
        mode: "max" or "min".
        bounds: of the metric.
        min_points: values needed before the first look.

    Returns:
        The smallest P(better than the best before) over the looks at which the run was behind; infinite if there was none.
    """
    sign, best, scores = 1 if mode == "max" else -1, -math.inf, []
    asked = {"horizon": horizon, "mode": mode, "bounds": bounds}
    for i, (steps, values) in enumerate(runs):
        peaks = np.maximum.accumulate(sign * values)
        if peaks[-1] > best > -math.inf:
            behind = int((peaks[:-1] < best).sum())  # peaks never fall
            cuts = spaced(min_points, behind)
            scores.append(math.inf)
            if len(cuts):
                at = horizon * np.arange(1, AHEAD + 1) / AHEAD
                answer = model.backtest(
                    values[: cuts[-1]],
                    steps[: cuts[-1]],
                    cutoffs=cuts,
                    at=at[at > steps[cuts[0] - 1]],
                    others=list(runs[max(0, i - READ) : i]),
                    **asked,
                )
                scores[-1] = float(np.nanmax(answer.prob_better(sign * best), -1).min())
        best = max(best, float(peaks[-1]))
    return np.array(scores)


def spaced(first: int, last: int) -> Int[np.ndarray, "C"]:
    """At most LOOKS numbers of points from the first to the last, geometrically spaced; none if the last is smaller."""
    return (
        np.unique(np.geomspace(first, last, min(LOOKS, last - first + 1)).round().astype(int)) if last >= first else np.empty(0, dtype=int)
    )
