"""Which of two runs is ahead at their horizon, and where they change places, for ``lcx predict`` on several runs."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lcx.cli.forecasts import Row, curves_of, others_of
from lcx.cli.inference import Inferred
from lcx.cli.one_curve import growing
from lcx.extrapolator import Extrapolator
from lcx.stopping.ahead import crossing_steps, prob_ahead

_PAIRS, _STEPS = 300, 12  # of sampled paths, and their steps


def lead(table: Any, rows: Sequence[Row], asked: Inferred, extrapolator: Extrapolator, *, alone: bool) -> dict[str, Any] | None:
    """The two runs whose forecasts at the horizon are best, compared; None if there are not two that go on to the same horizon.

    Args:
        table: long table of the log.
        rows: forecasts of one metric.
        asked: the question about it.
        extrapolator: a loaded model.
        alone: read no other runs.

    Returns:
        "run" and "other", the better one first; "step", the horizon; "ahead", the chance there; "crosses", the chance that they change
        places on the way; "0.05", "0.5", "0.95", steps of the last change if they do.
    """
    going = sorted((row for row in rows if row.state == "running"), key=lambda row: row.final if row.mode == "min" else -row.final)
    if len(going) < 2 or len({row.horizon for row in going}) > 1:
        return None
    curves, units = curves_of(table, asked.metric)[0], table.attrs.get("counter", {})
    ends, answers = going[0].horizon, []
    at = growing(max(row.step for row in going[:2]), ends, _STEPS)
    for row in going[:2]:
        steps, values = curves[row.run]
        others = None if alone else others_of(curves, row.run, asked, units)
        answers.append(extrapolator(values, steps, horizon=ends, mode=row.mode, at=at, bounds=asked.bounds, others=others))
    crossing = crossing_steps(*answers, n=_PAIRS)
    change = crossing[~np.isnan(crossing)]
    levels = np.quantile(change, [0.05, 0.5, 0.95], method="inverted_cdf").tolist() if len(change) else [math.nan] * 3
    found = {"run": going[0].run, "other": going[1].run, "step": ends, "ahead": float(prob_ahead(*answers)[-1])}
    return found | {"crosses": len(change) / len(crossing)} | dict(zip(("0.05", "0.5", "0.95"), levels, strict=True))


def as_sentence(found: dict[str, Any]) -> str:
    """What :func:`lead` found, in one line."""
    text = f"{found['run']} is ahead of {found['other']} at step {found['step']:g} with probability {found['ahead']:.2g}"
    if not found["crosses"]:
        return text
    where = f"near step {found['0.5']:g} (90 %: {found['0.05']:g} to {found['0.95']:g})"
    return f"{text}; they change places before with probability {found['crosses']:.2g}, {where}"
