"""Standings of the runs of a log: predicted final values, chances against each other, and the verdict on each."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lcx.curves import direction
from lcx.extrapolation import Extrapolation
from lcx.extrapolator import Extrapolator, load
from lcx.predictive import Predictive
from lcx.report.standing import FINISHED, Standing, could_go_on, settle
from lcx.stopping.intake import Reports, as_values
from lcx.stopping.study import predict

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 10_000  # standard error of a probability: 0.005 at most


def standings(
    table: "pd.DataFrame",
    metric: str,
    *,
    mode: str,
    horizon: float | None = None,
    bounds: tuple[float | None, float | None] = (None, None),
    delta: float = 0.05,
    min_points: int = 2,
    model: str | Path = "default",
    device: str | None = None,
    others: bool = True,
) -> list[Standing]:
    """Predicts the runs of a log, and says which to stop by the default rule of ``EarlyStopper``, and which to resume.

    A run should stop if P(better than the best value of the others) <= delta at every later step, unless its own best value is as good.
    A run that ended before its horizon (failed, killed, pruned) should be resumed if P(better than the best value of all runs) > delta at a
    later step; nothing can be said of one whose last value is missing.
    Missing values, infinite values and values outside the bounds are not read.

    Args:
        table: from ``lcx.readers.read``, with its ``attrs``: columns run, metric, step, value.
        metric: name of the metric.
        mode: "max" if larger is better, "min" if smaller is.
        horizon: last step of every run, user's unit; default: as logged for each run, else the last step of the longest run that the log
            calls finished.
        bounds: limits (lower, upper) that the metric cannot pass.
        delta: limit of the rule, < 1; with a negative limit no run is stopped.
        min_points: values needed before the first verdict, >= 1.
        model: name of a shipped model, or the folder of a model.
        device: where to compute; default CUDA if there is one.
        others: whether forecasts read the other runs of the log, finished, running or ended, as those of ``EarlyStopper`` do. A model
            without a reader reads each run alone.

    Returns:
        The runs, sorted by their final value, predicted or reached, the best first. Runs without a final value come last.

    Raises:
        ValueError: there is no such metric, no horizon, or an argument breaks a rule above.
    """
    question: Any = {"mode": mode, "horizon": horizon, "bounds": bounds, "delta": delta, "min_points": min_points, "others": others}
    return look(table, metric, **question, model=load(model, device)).ranked


@dataclass
class Look:
    """The runs of a log in the order in which they began, and one extrapolation of those that go on."""

    runs: list[Standing]
    known: list[Reports]
    asked: list[int]  # the runs that are predicted
    answer: Extrapolation | None  # of these; None if there are none
    mode: str
    bounds: tuple[float | None, float | None]
    model: Extrapolator
    unbeaten: float = math.nan  # P(no run ends better than the value to beat that was given)
    over: list[int] = field(default_factory=list)  # the runs that ended early, and could be resumed
    resumed: Extrapolation | None = None  # of these; None if there are none

    @property
    def ranked(self) -> list[Standing]:
        """The runs by their final value, the best first; those without one come last."""
        sign = direction(self.mode)
        return sorted(self.runs, key=lambda run: (math.isnan(run.final), 0 if math.isnan(run.final) else -sign * run.final, run.run))

    @cached_property
    def ends(self) -> Predictive:
        """The laws of the final values of the predicted runs, in a row."""
        assert self.answer is not None
        last = (~self.answer.steps_ahead.isnan()).sum(1) - 1
        return self.answer.predictive.at(torch.arange(self.answer.steps_ahead.shape[1]) == last[:, None])

    def extrapolated(self, runs: list[int], *, others: bool) -> Extrapolation:
        """Predicts some runs in one call, with or without all runs in view."""
        asked = [self.known[i] for i in runs]
        return predict(self.model, asked, self.known if others else [], horizon=math.inf, mode=self.mode, bounds=self.bounds)


def look(
    table: Any,
    metric: str,
    *,
    mode: str,
    horizon: float | None,
    bounds: tuple[float | None, float | None],
    delta: float,
    min_points: int,
    others: bool,
    model: Extrapolator,
    best: float | None = None,
) -> Look:
    """What :func:`standings` says, and the forecasts behind it; ``best``: value that every run has to beat, instead of the others'."""
    direction(mode)
    if not (math.isfinite(delta) and delta < 1) or min_points < 1:
        raise ValueError(f"expected delta < 1 and min_points >= 1, got {delta} and {min_points}; write 0.05 for 5 %, 1 for the least")
    curves, known, runs = _curves(table, metric), [], []
    ends = _horizons(table.attrs, {run: steps[-1] for run, (steps, _) in curves.items()}, horizon)
    for run, (steps, values) in curves.items():
        known.append(reports := Reports(horizon=ends[run]))
        said = [reports.add(step, value, bounds) for step, value in zip(steps.tolist(), as_values(values), strict=True)][-1]
        top = reports.best(mode) if reports.read else math.nan
        runs.append(Standing(run, float(steps[-1]), ends[run], float(values[-1]), top))
        settle(runs[-1], str(table.attrs.get("state", {}).get(run, "")), said, len(reports.read), min_points)
    _challenge(runs, mode, best)
    seen = Look(runs, known, [i for i, run in enumerate(runs) if not run.reason], None, mode, bounds, model)
    if seen.asked:
        seen.answer = seen.extrapolated(seen.asked, others=others)
        _judge(seen, seen.answer, delta)
    seen.over = [i for i, run in enumerate(runs) if could_go_on(run, known[i], min_points)]
    if seen.over:
        seen.resumed = seen.extrapolated(seen.over, others=others)
        _consider(seen, seen.resumed, delta, best)
    seen.unbeaten = _chances(seen, best)
    return seen


def _curves(table: Any, metric: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Steps and values of each run."""
    rows = table[table["metric"] == metric]
    rows.attrs = {}  # which pandas copies for each group
    if rows.empty:
        raise ValueError(f"expected a metric out of {sorted(table['metric'].unique())}, got {metric!r}; choose one")
    return {str(run): (curve["step"].to_numpy(float), curve["value"].to_numpy(float)) for run, curve in rows.groupby("run", sort=False)}


def _horizons(attrs: Any, last: dict[str, float], horizon: float | None) -> dict[str, float]:
    """The horizon of each run."""
    if horizon is not None:
        if not 0 < horizon < math.inf:
            raise ValueError(f"expected a finite horizon > 0, got {horizon}; give the last step of a full run")
        return dict.fromkeys(last, float(horizon))
    states, logged = attrs.get("state", {}), attrs.get("horizon", {})
    finished = [step for run, step in last.items() if str(states.get(run, "")).lower() in FINISHED]
    lacking = [run for run in last if run not in logged]
    if lacking and not finished:
        raise ValueError(
            f"expected a horizon, got none for run {lacking[0]!r}, of which the log tells none; give the last step of a full run"
        )
    return {run: float(logged[run]) if run in logged else max(*finished, step) for run, step in last.items()}


def _challenge(runs: list[Standing], mode: str, best: float | None) -> None:
    """Gives each run the value to beat: ``best``, or the best value of the others."""
    sign = direction(mode)
    order = sorted((run for run in runs if not math.isnan(run.best)), key=lambda run: -sign * run.best)[:2]
    for run in runs:
        rival = next((other for other in order if other is not run), None)
        if best is not None:
            run.to_beat = best
        elif rival is not None:
            run.to_beat, run.holder = rival.best, rival.run


def _judge(seen: Look, answer: Extrapolation, delta: float) -> None:
    """Fills in predictions and verdicts."""
    runs = [seen.runs[i] for i in seen.asked]
    chances = answer.prob_better(np.array([[run.to_beat] for run in runs]))
    finals = seen.ends.icdf(torch.tensor([[0.05], [0.5], [0.95]], dtype=torch.float64)).T.tolist()  # of all steps it would take long
    for run, chance, final in zip(runs, chances, finals, strict=True):
        run.low, run.final, run.high = final
        if math.isnan(run.to_beat):
            run.reason = "there is no other run to beat yet"
            continue
        run.probability = float(np.nanmax(chance))
        rival = f"{run.to_beat:.4g}" + (f" of {run.holder}" if run.holder else "")
        if run.probability > delta:
            run.reason = f"{run.probability:.2g} to beat {rival}"
        elif run.to_beat > run.best if seen.mode == "max" else run.to_beat < run.best:
            run.stop = True
            best = "the best is" if run.holder else "to beat is"
            run.reason = f"ends near {run.final:.4g}; {best} {rival}, the chance to beat it {run.probability:.2g}"
        else:
            run.reason = f"holds the best value, {run.best:.4g}, though it ends near {run.final:.4g}"


def _consider(seen: Look, answer: Extrapolation, delta: float, best: float | None) -> None:
    """Says of runs that ended early which to resume: a run must be likely to beat the best value of all, its own among them."""
    holder = max((run for run in seen.runs if not math.isnan(run.best)), key=lambda run: direction(seen.mode) * run.best)
    target = holder.best if best is None else best
    for i, chance in zip(seen.over, answer.prob_better(target), strict=True):
        run = seen.runs[i]
        run.to_beat, run.holder, run.probability = target, holder.run if best is None else "", float(np.nanmax(chance))
        run.resume = run.probability > delta
        whose = "" if best is not None else ", its own best" if run is holder else f" of {holder.run}"
        run.reason += f"; resumed, {run.probability:.2g} to beat {target:.4g}{whose}"


def _chances(seen: Look, best: float | None) -> float:
    """Fills in P(ends best), and gives the probability that no run beats ``best``.

    It is the share of joint draws of all final values in which the run's is the best; ties are shared evenly. Those of running runs are
    drawn independently, given what was seen of all; those of finished runs, and ``best``, are fixed.
    """
    predicted = {*seen.asked}
    running = [seen.runs[i] for i in seen.asked]
    fixed = [run for i, run in enumerate(seen.runs) if i not in predicted and not math.isnan(run.final)]
    known = torch.tensor([run.final for run in fixed] + ([] if best is None else [best]), dtype=torch.float64)
    if not len(running) + len(known):
        return math.nan
    ends = known.expand(DRAWS, -1)
    if running:
        ends = torch.cat([seen.ends.sample(DRAWS, torch.Generator().manual_seed(0)), ends], 1)
    draw, best_of = (ends == (ends.amax(1, keepdim=True) if seen.mode == "max" else ends.amin(1, keepdim=True))).nonzero().unbind(1)
    shares = (torch.bincount(best_of, 1 / torch.bincount(draw)[draw].double(), ends.shape[1]) / DRAWS).tolist()
    for run, share in zip([*running, *fixed], shares[: len(running) + len(fixed)], strict=True):
        run.ends_best = share
    return math.nan if best is None else shares[-1]
