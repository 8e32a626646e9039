"""A limit for a wanted rate of false stops, when forecasts read the study, and the rate that a study has seen.

A false stop ends a run that would have become the best. Whether the default rule makes one depends on the smallest chance that the run had
at any look before it passed the best value: its score. Of n runs one is the best, so scores fall as a study grows; in units of 1 / n they
hardly do, and the limit for a rate is a quantile of them: share / n. While nothing is known of a study, they are those of the studies of
the early-stopping benchmark. Runs that were never at risk of being stopped add their own, and tell what the limit does here.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lcx.extrapolator import Extrapolator
from lcx.stopping.intake import Reports, as_number

RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
SHARES = (0.0106, 0.0233, 0.0743, 0.17, 0.478, 0.877, 2.13)  # of these rates, made by benchmarks/stopping/shares.py
LOOKS, AHEAD, READ = 16, 6, 30  # cut-offs looked at, geometrically spaced; steps predicted; other runs read
ORDERS, LATEST = 3, 40  # random orders of the runs that were never at risk, and how many of them are taken
LOST = 1e4  # times a range: so much larger a later one leaves earlier points too few digits in float32
MOST = 0.99  # of the limit, for a large rate and few runs
WEIGHT = 10  # runs that became the best, for which the usual scores count beside those of the study
Run = tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]


class FalseStops(NamedTuple):
    """What a stopper does about false stops.

    Attributes:
        asked: the rate asked for.
        share: of 1 / number of runs, which :meth:`limit` is.
        seen: the share of the runs that became the best, in random orders of those below, that this limit would have stopped; NaN if none.
        runs: number of finished runs that were never at risk of being stopped.
    """

    asked: float
    share: float
    seen: float
    runs: int

    def limit(self, runs: int) -> float:
        """The limit on P(better than best) of :class:`lcx.stopping.never_better` among so many runs that have begun."""
        return min(self.share / max(runs, 1), MOST)


class Rate:
    """A wanted rate of false stops, and the share that keeps it.

    Args:
        asked: the rate, from 0.01 to 0.5.

    ``usual`` is what holds while nothing is known of a study.

    Raises:
        TypeError, ValueError: it is not such a number.
    """

    def __init__(self, asked: Any) -> None:
        self.asked = as_number(asked, "false_stops")
        self.usual = FalseStops(self.asked, usual_share(self.asked), math.nan, 0)
        self._told = self.usual

    def told(self, runs: list[Reports], model: Extrapolator, *, horizon: float, **about: Any) -> FalseStops:
        """The share, with what can be learned of the runs that were never at risk and have reached the horizon; learned anew as they grow.

        Args:
            runs: all runs, in the order in which they began.
            model: the one that is asked.
            horizon: last step of a run.
            about: mode, bounds, min_points and others, as in :func:`scores_of`.
        """
        whole = [run for run in runs if not run.at_risk and run.upto(horizon) and run.horizon in (None, horizon) and run.finished(horizon)]
        if not whole:
            return self.usual
        if len(whole) != self._told.runs:
            curves = [(curve[:, 0], curve[:, 1]) for curve in (np.array(run.upto(horizon)) for run in whole[-LATEST:])]
            generator, own = np.random.default_rng(0), []
            for _ in range(ORDERS):
                own.append(in_shares(*scores_of(model, [curves[i] for i in generator.permutation(len(curves))], horizon=horizon, **about)))
            share, scores = sharpened(self.asked, own), np.concatenate(own)
            seen = float((scores <= share).mean()) if len(scores) else math.nan
            self._told = FalseStops(self.asked, share, seen, len(whole))
        return self._told


def as_rate(false_stops: Any, rule: Any) -> Rate | None:
    """The wanted rate, or None.

    Raises:
        TypeError, ValueError: it is not a rate, or there is a rule as well.
    """
    if rule is not None and false_stops is not None:
        raise ValueError("expected false_stops or rule, got both; leave out the rule, whose limit false_stops could not set")
    return None if false_stops is None else Rate(false_stops)


def usual_share(rate: float) -> float:
    """The share for a rate of false stops on studies of which nothing is known, between those of RATES linear on both logarithms.

    Raises:
        ValueError: the rate is outside those known.
    """
    if not RATES[0] <= rate <= RATES[-1]:
        raise ValueError(f"expected a rate of false stops from {RATES[0]} to {RATES[-1]}, got {rate}; write 0.05 for 5 %")
    return float(np.exp(np.interp(math.log(rate), np.log(RATES), np.log(SHARES))))


def sharpened(rate: float, own: Sequence[Float[np.ndarray, "_"]], usual: Sequence[float] = SHARES) -> float:
    """The share for a rate, of the usual scores, which count as ``WEIGHT`` runs, and the scores of some orders of a study's own runs.

    ``usual`` are the usual shares of RATES.

    Source: a Dirichlet prior over scores, whose mean is the distribution of the usual ones; its posterior mean's quantile.
    """
    places = np.linspace(math.log(RATES[0]), math.log(RATES[-1]), 200)
    values = np.append(np.exp(np.interp(places, np.log(RATES), np.log(usual))), math.inf)  # infinite: whatever lies beyond the rates known
    weights = WEIGHT * np.diff(np.exp(places), prepend=0.0, append=1.0)
    scores = np.concatenate([values, *own])
    weights = np.concatenate([weights, *(np.full(len(one), 1 / len(own)) for one in own)])
    order = np.argsort(scores)
    reached = np.cumsum(weights[order])
    return math.nextafter(float(scores[order][np.searchsorted(reached, rate * reached[-1] * (1 - 1e-9))]), -math.inf)


def in_control(run: Any, share: float) -> bool:
    """Whether a run belongs to the share that is never stopped: drawn by its name, so that every process and a resumed search agree."""
    drawn = int.from_bytes(hashlib.blake2b(repr(run).encode(), digest_size=8).digest()) / 2**64
    return drawn < share


def in_shares(scores: Float[np.ndarray, "m"], before: Int[np.ndarray, "m"]) -> Float[np.ndarray, "m"]:
    """Scores in units of 1 / n, n the number of runs that each had to be the best of."""
    return scores * (before + 1)


def scores_of(
    model: Extrapolator,
    runs: Sequence[Run],
    *,
    horizon: float | Float[np.ndarray, "R"],
    mode: str,
    bounds: tuple[float | None, float | None],
    min_points: int = 2,
    others: bool = True,
) -> tuple[Float[np.ndarray, "m"], Int[np.ndarray, "m"]]:
    """The score of each run that becomes the best of those before it, in this order, all trained to their ends.

    Args:
        model: the one that is asked.
        runs: (steps, values) of finished runs, values finite, user's units.
        horizon: last step of a run, or that of each.
        mode: "max" or "min".
        bounds: of the metric.
        min_points: values needed before the first look.
        others: whether the forecast of a run reads the runs before it, if the model has a reader.

    Returns:
        The smallest P(better than the best before) over the looks at which the run was behind, infinite if there was none; and how many
        runs came before it.
    """
    sign, best, scores, before = 1 if mode == "max" else -1, -math.inf, [], []
    asked, horizons = {"mode": mode, "bounds": bounds}, np.broadcast_to(horizon, len(runs)).tolist()
    for i, ((steps, values), last) in enumerate(zip(runs, horizons, strict=True)):
        peaks = np.maximum.accumulate(sign * values)
        if peaks[-1] > best > -math.inf:
            behind = int((peaks[:-1] < best).sum())  # peaks never fall
            cuts = spaced(min_points, behind)
            cuts = cuts[steps[cuts - 1] < last]
            scores.append(math.inf)
            before.append(i)
            at = last * np.arange(1, AHEAD + 1) / AHEAD
            for some in in_passes(values, cuts):
                answer = model.backtest(
                    values[: some[-1]],
                    steps[: some[-1]],
                    cutoffs=some,
                    horizon=last,
                    at=at[at > steps[some[0] - 1]],
                    others=list(runs[max(0, i - READ) : i]) if others and model.reads_others else None,
                    **asked,
                )
                scores[-1] = min(scores[-1], float(np.nanmax(answer.prob_better(sign * best), -1).min()))
        best = max(best, float(peaks[-1]))
    return np.array(scores), np.array(before, dtype=int)


def in_passes(values: Float[np.ndarray, "n"], cuts: Int[np.ndarray, "C"]) -> list[Int[np.ndarray, "_"]]:
    """Cut-offs in groups that the model may read in one pass: a later range far beyond an earlier one would leave that no digits."""
    with np.errstate(over="ignore", invalid="ignore"):
        width = (np.maximum.accumulate(values) - np.minimum.accumulate(values))[cuts - 1]
    groups, narrow = [], math.inf
    for cut, wide in zip(cuts.tolist(), width.tolist(), strict=True):
        if not groups or wide > LOST * narrow:
            groups.append([])
            narrow = math.inf
        groups[-1].append(cut)
        narrow = min(narrow, wide) if wide > 0 else narrow
    return [np.array(group) for group in groups]


def spaced(first: int, last: int) -> Int[np.ndarray, "C"]:
    """At most LOOKS numbers of points from the first to the last, geometrically spaced; none if the last is smaller."""
    return (
        np.unique(np.geomspace(first, last, min(LOOKS, last - first + 1)).round().astype(int)) if last >= first else np.empty(0, dtype=int)
    )
