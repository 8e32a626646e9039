"""Standings of the runs of a log: predicted final values, chances against each other, and the verdict on each."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lcx.curves import direction
from lcx.extrapolation import Extrapolation
from lcx.extrapolator import load
from lcx.stopping.intake import Reports, as_value

if TYPE_CHECKING:
    import pandas as pd

_FINISHED = ("finished", "complete")
_ENDED = ("failed", "fail", "killed", "crashed", "pruned")


@dataclass
class Standing:
    """One run. Numbers are in the user's units, and NaN if nothing was seen or predicted."""

    run: str
    step: float  # the last one reported
    horizon: float
    last: float  # value at the last step
    best: float  # best value so far
    state: str = "running"  # "finished" at the horizon or if the log says so; else what the log says of a run that ended early
    final: float = math.nan  # median of the prediction at the horizon; of a finished run its last value
    low: float = math.nan  # 5 % quantile there
    high: float = math.nan  # 95 %
    to_beat: float = math.nan  # the best value of the other runs
    probability: float = math.nan  # the largest P(better than to_beat) over the later steps
    stop: bool = False
    reason: str = ""  # a plain sentence


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
) -> list[Standing]:
    """Predicts all running runs of a log in one call, and says which to stop by the default rule of ``EarlyStopper``.

    A run should stop if P(better than the best value of the others) <= delta at every later step, unless its own best value is as good.
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

    Returns:
        The runs, sorted by their final value, predicted or reached, the best first. Runs without a final value come last.

    Raises:
        ValueError: there is no such metric, no horizon, or an argument breaks a rule above.
    """
    sign = direction(mode)
    if not (math.isfinite(delta) and delta < 1) or min_points < 1:
        raise ValueError(f"expected delta < 1 and min_points >= 1, got {delta} and {min_points}; write 0.05 for 5 %, 1 for the least")
    curves, known, runs = _curves(table, metric), {}, []
    ends = _horizons(table.attrs, {run: steps[-1] for run, (steps, _) in curves.items()}, horizon)
    for run, (steps, values) in curves.items():
        known[run] = reports = Reports()
        said = [reports.add(step, as_value(value), bounds) for step, value in zip(steps, values, strict=True)][-1]
        best = reports.best(mode) if reports.read else math.nan
        runs.append(Standing(run, float(steps[-1]), ends[run], float(values[-1]), best))
        _settle(runs[-1], str(table.attrs.get("state", {}).get(run, "")), said, len(reports.read), min_points)
    _challenge(runs, sign)
    if asked := [run for run in runs if not run.reason]:
        _predict(asked, [known[run.run] for run in asked], mode=mode, bounds=bounds, delta=delta, model=load(model, device))
    return sorted(runs, key=lambda run: (math.isnan(run.final), -sign * run.final if not math.isnan(run.final) else 0, run.run))


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
    finished = [step for run, step in last.items() if str(states.get(run, "")).lower() in _FINISHED]
    lacking = [run for run in last if run not in logged]
    if lacking and not finished:
        raise ValueError(
            f"expected a horizon, got none for run {lacking[0]!r}, of which the log tells none; give the last step of a full run"
        )
    return {run: float(logged[run]) if run in logged else max(*finished, step) for run, step in last.items()}


def _settle(run: Standing, logged: str, said: str | None, points: int, min_points: int) -> None:
    """Fills in what needs no prediction. Runs that still have no reason are to be predicted."""
    if run.step >= run.horizon or logged.lower() in _FINISHED:
        run.state = "finished"
        run.final = as_value(run.last)
        run.reason = f"step {run.step:g} lies beyond the horizon" if run.step > run.horizon else "finished"
    elif logged.lower() in _ENDED:
        run.state = logged.lower()
        run.reason = f"ended at step {run.step:g}"
    elif said is not None:
        run.reason = said
    elif points < min_points:
        run.reason = f"{points} value(s) so far, {min_points} needed"


def _challenge(runs: list[Standing], sign: int) -> None:
    """Gives each run the best value of the others to beat."""
    gains = np.array([-math.inf if math.isnan(run.best) else sign * run.best for run in runs])
    top = int(gains.argmax())
    others = np.where(np.arange(len(runs)) == top, np.delete(gains, top).max(initial=-math.inf), gains[top])
    for run, gain in zip(runs, others, strict=True):
        run.to_beat = sign * float(gain) if math.isfinite(gain) else math.nan


def _predict(runs: list[Standing], known: list[Reports], *, mode: str, bounds: Any, delta: float, model: Any) -> None:
    """Fills in predictions and verdicts, all from one call of the model."""
    curves = [np.array(reports.read) for reports in known]
    answer = model(
        [curve[:, 1] for curve in curves],
        [curve[:, 0] for curve in curves],
        horizon=[run.horizon for run in runs],
        mode=mode,
        at=[reports.ahead(run.horizon) for run, reports in zip(runs, known, strict=True)],
        bounds=bounds,
    )
    at, chances = answer.at, answer.prob_better(np.array([[run.to_beat] for run in runs]))
    for run, steps, chance, final in zip(runs, at, chances, _at_the_end(answer), strict=True):
        run.low, run.final, run.high = final
        if math.isnan(run.to_beat):
            run.reason = "there is no other run to beat yet"
            continue
        i = int(np.nanargmax(chance))
        run.probability = float(chance[i])
        run.stop = run.probability <= delta
        run.reason = f"P(better than {run.to_beat:.5g}) is at most {run.probability:.2g}, at step {steps[i]:g}"
        if run.stop and not (run.to_beat > run.best if mode == "max" else run.to_beat < run.best):
            run.stop, run.reason = False, f"holds the best value; but for that: {run.reason}"


def _at_the_end(answer: Extrapolation) -> list[list[float]]:
    """The 5, 50 and 95 % quantiles at the last step of each curve; those of all steps would take longer than the model."""
    law, rows, last = answer.predictive, np.arange(len(answer.at)), (~np.isnan(answer.at)).sum(1) - 1
    ends = replace(law, **{name: getattr(law, name)[rows, last] for name in ("logits", "loc", "scale")})
    return ends.icdf(torch.tensor([[0.05], [0.5], [0.95]], dtype=torch.float64)).T.tolist()
