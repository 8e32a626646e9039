"""How long runs were planned to be, as their settings tell: the horizon, where it is in the unit of the steps."""

import re
from collections.abc import Mapping
from typing import Any

_STEPS = {"max_steps", "total_steps", "num_steps", "max_iters", "max_iter", "total_iters", "num_iterations", "max_iterations"}
_STEPS |= {"iterations", "total_timesteps", "train_steps", "num_train_steps", "max_train_steps"}
_EPOCHS = {"epochs", "epoch", "num_epochs", "max_epochs", "n_epochs", "num_train_epochs", "max_epoch", "total_epochs"}


def horizons(points: Any, settings: Mapping[str, Mapping[str, object]]) -> dict[str, float]:
    """The last step that each run was planned to reach.

    A number of steps counts if no run's step lies beyond it. A number of epochs counts only if the steps are epochs: 1, 2, 3, ... without
    a gap, and in step with the metric "epoch" if that was logged. Where two settings disagree, none counts.

    Args:
        points: columns run, metric, step and value, steps as logged, counters among the metrics.
        settings: {run: {name: value}}; of a nested name such as "trainer/max_epochs" the last part counts.

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
        fits = {value for name in _STEPS for value in _numbers(told, name) if value >= last}
        if _are_epochs(rows, steps):
            fits |= {value for name in _EPOCHS for value in _numbers(told, name) if value >= last}
        if len(fits) == 1:
            found[str(run)] = fits.pop()
    return found


def _are_epochs(rows: Any, steps: Any) -> bool:
    """Whether the steps are 1, 2, 3, ... or 0, 1, 2, ... and the epochs too, where these were logged."""
    unique = sorted(set(steps))
    epochs = rows[rows["metric"].str.lower().str.fullmatch(r"(.*[/_])?epochs?")]
    apart = epochs["value"] - epochs["step"]
    return unique == [unique[0] + i for i in range(len(unique))] and unique[0] in (0, 1) and apart.nunique() <= 1


def _numbers(settings: Mapping[str, object], name: str) -> list[float]:
    """The values > 0 of the settings of this name."""
    values = []
    for key, value in settings.items():
        if re.split(r"[/.]", key)[-1].lower() != name or isinstance(value, bool):
            continue
        try:
            values.append(float(str(value)))
        except ValueError:  # None, or a word
            continue
    return [value for value in values if 0 < value < float("inf")]
