"""The forecast of one run, or of many runs and metrics at their horizons, from the long table of a log."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lcx.cli.inference import Inferred
from lcx.cli.many_runs import by_name
from lcx.extrapolator import Extrapolator

Curve = tuple[np.ndarray, np.ndarray]


@dataclass
class Row:
    """One metric of one run. Numbers are in the user's units, NaN where there is none."""

    run: str
    metric: str
    mode: str
    step: float  # the last one with a value
    last: float  # the value there
    horizon: float
    final: float = math.nan  # median at the horizon; of a finished run its last value
    low: float = math.nan  # 5 % quantile there
    high: float = math.nan  # 95 %
    better: float = math.nan  # P(better than the value to beat)
    state: str = "running"  # or "finished", or "empty" if no value is finite


def curves_of(table: Any, metric: str) -> tuple[dict[str, Curve], list[str]]:
    """Steps and finite values of each run, and sentences about those that are infinite and so not read."""
    rows, notes = table[table["metric"] == metric], []
    rows.attrs = {}  # which pandas copies for each group
    for run, values in rows[np.isinf(rows["value"])].groupby("run", sort=False)["value"]:
        notes.append(f"{metric} of {run}: {len(values)} infinite value{'s' * (len(values) > 1)} not read")
    finite = rows[np.isfinite(rows["value"])]
    curves = {str(run): (c["step"].to_numpy(float), c["value"].to_numpy(float)) for run, c in finite.groupby("run", sort=False)}
    return curves, notes


def others_of(curves: dict[str, Curve], run: str, asked: Inferred, units: dict[str, str]) -> list[Curve]:
    """The other runs whose steps have the same unit, without values that the bounds forbid.

    Args:
        curves: all runs with the metric.
        run: the one asked about.
        asked: the question, with its bounds.
        units: what counts the steps of each run, if that is known.
    """
    lower, upper = (edge if edge is not None else side * math.inf for edge, side in zip(asked.bounds, (-1, 1), strict=True))
    kept = []
    for name, (steps, values) in curves.items():
        inside = (values >= lower) & (values <= upper)
        if name != run and inside.any() and units.get(name) == units.get(run):
            kept.append((steps[inside], values[inside]))
    return kept


def forecasts(
    table: Any, runs: Sequence[str], questions: Sequence[Inferred], extrapolator: Extrapolator, *, best: float | None, alone: bool
) -> tuple[list[Row], list[str]]:
    """Forecasts metrics of runs at their horizons.

    Args:
        table: long table of the log.
        runs: those asked for; all other runs of the table are only read as others.
        questions: one for each metric, with its direction.
        extrapolator: a loaded model.
        best: value to beat, user's unit.
        alone: read no other runs.

    Returns:
        A row for each run that has the metric and a horizon, and warnings.
    """
    rows, notes, units = [], [], table.attrs.get("counter", {})
    for asked in questions:
        curves, said = curves_of(table, asked.metric)
        notes += said
        having = set(table["run"][table["metric"] == asked.metric])
        mine = [run for run in runs if run in having and run in asked.horizons]
        new = [_row(run, curves.get(run), asked) for run in mine]
        going = [row for row in new if row.state == "running"]
        together = len(going) == len(curves) and not alone and len({units.get(run) for run in curves}) == 1
        batches = [going] if alone or together else [[row] for row in going]
        for batch in filter(None, batches):
            others: Any = None if alone else "batch" if together else others_of(curves, batch[0].run, asked, units)
            notes += _fill_in(batch, curves, asked, extrapolator, others, best)
        rows += new
    return rows, list(dict.fromkeys(notes))


def _row(run: str, curve: Curve | None, asked: Inferred) -> Row:
    mode, horizon = str(asked.mode), asked.horizons[run]
    if curve is None:
        return Row(run, asked.metric, mode, math.nan, math.nan, horizon, state="empty")
    step, last = float(curve[0][-1]), float(curve[1][-1])
    done = step >= horizon
    return Row(run, asked.metric, mode, step, last, horizon, final=last if done else math.nan, state="finished" if done else "running")


def _fill_in(
    batch: list[Row], curves: dict[str, Curve], asked: Inferred, extrapolator: Extrapolator, others: Any, best: float | None
) -> list[str]:
    """Fills in the forecasts of some runs in one call, and returns its warnings with the names of the runs."""
    answer = extrapolator(
        [curves[row.run][1] for row in batch],
        [curves[row.run][0] for row in batch],
        horizon=[row.horizon for row in batch],
        mode=str(asked.mode),
        at=[[row.horizon] for row in batch],
        bounds=asked.bounds,
        others=others,
    )
    chances = None if best is None else answer.prob_better(best)
    for i, (row, (low, final, high)) in enumerate(zip(batch, answer.quantile([0.05, 0.5, 0.95])[:, 0], strict=True)):
        row.low, row.final, row.high = float(low), float(final), float(high)
        row.better = math.nan if chances is None else float(chances[i, 0])
    return by_name(answer.warnings, [f"{row.metric} of {row.run}" for row in batch])
