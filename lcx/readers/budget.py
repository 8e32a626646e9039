"""How long runs were planned to be, as the parameters in their own log tell: the horizon, where it is in the unit of the steps."""

from collections.abc import Mapping
from typing import Any

from lcx.readers.settings import EPOCHS, STEPS, stands_for


def horizons(points: Any, settings: Mapping[str, Mapping[str, object]]) -> dict[str, float]:
    """The last step that each run was planned to reach.

    A number of steps counts if no step of the run lies beyond it. A number of epochs counts only if the steps are epochs: 1, 2, 3, ...
    without a gap, and in step with the metric "epoch" if that was logged. Where two settings disagree, none counts.

    Args:
        points: columns run, metric, step and value, steps as logged, counters among the metrics.
        settings: {run: {name: value}}, also nested names such as "trainer/max_epochs", and values as text.

    Returns:
        {run: last step, counted from 1}, of the runs that tell it.
    """
    found = {}
    for run, rows in points.groupby("run", sort=False):
        told = settings.get(str(run), {})
        steps = rows["step"][rows["step"] >= 0]
        if not told or steps.empty:
            continue
        last = steps.max() + (steps.min() == 0)
        names = STEPS + EPOCHS if _are_epochs(rows, steps) else STEPS
        fits = {end for name, value in told.items() if stands_for(name) in names and last <= (end := _positive(value)) < float("inf")}
        if len(fits) == 1:
            found[str(run)] = fits.pop()
    return found


def _are_epochs(rows: Any, steps: Any) -> bool:
    """Whether the steps are 1, 2, 3, ... or 0, 1, 2, ... and the epochs too, where these were logged."""
    unique = sorted(set(steps))
    epochs = rows[rows["metric"].str.lower().str.fullmatch(r"(.*[/_])?epochs?")]
    apart = epochs["value"] - epochs["step"]
    return unique == [unique[0] + i for i in range(len(unique))] and unique[0] in (0, 1) and apart.nunique() <= 1


def _positive(value: object) -> float:
    """A setting as a number; 0 if it is none, such as None or a word."""
    try:
        return 0.0 if isinstance(value, bool) else float(str(value))
    except ValueError:
        return 0.0
