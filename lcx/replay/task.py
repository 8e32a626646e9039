"""The finished runs of one task, ready to be replayed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from lcx.curves import direction
from lcx.stopping.hyperparameters import table_of, with_earlier_studies

if TYPE_CHECKING:
    import pandas as pd

_CLOCK = 1e8  # seconds: since 1970 a time in 1973; no run takes as long


@dataclass(frozen=True, eq=False)
class Task:
    """Finished runs of one task, made by :func:`as_task`: n runs with at most L points each, in the user's units.

    A run ends at its last finite value. What came later (NaN, inf, values outside the bounds) costs nothing under any method. A run
    without any value has one point, NaN, at its first step.

    Attributes:
        names: of the runs.
        values: (n, L) metric; NaN on the right of short runs.
        steps: (n, L) step of each value; NaN where padded.
        horizon: (n,) the planned last step of each run, at or after its last point.
        mode: "max" or "min".
        bounds: hard limits (lower, upper) of the metric.
        hyperparameters: {name: value} of each run, known before it begins; None: not known.
    """

    names: tuple[str, ...]
    values: Float[np.ndarray, "n L"]
    steps: Float[np.ndarray, "n L"]
    horizon: Float[np.ndarray, "n"]
    mode: str
    bounds: tuple[float | None, float | None] = (None, None)
    hyperparameters: tuple[Mapping[str, Any], ...] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def sign(self) -> int:
        """1 for mode "max", -1 for "min"."""
        return direction(self.mode)

    @cached_property
    def counts(self) -> Int[np.ndarray, "n"]:
        """Number of points of each run, >= 1."""
        return (~np.isnan(self.steps)).sum(1)

    @cached_property
    def gains(self) -> Float[np.ndarray, "n L"]:
        """The values times sign, so that larger is better; -inf where a value is missing."""
        return np.where(np.isnan(self.values), -np.inf, self.sign * self.values)

    @cached_property
    def peaks(self) -> Float[np.ndarray, "n L"]:
        """The largest gain of each run up to and including each point."""
        return np.maximum.accumulate(self.gains, axis=1)

    @cached_property
    def cost(self) -> Float[np.ndarray, "n"]:
        """Steps of each run trained to its end."""
        return np.nanmax(self.steps, axis=1)

    @cached_property
    def table(self) -> Float[np.ndarray, "n H"] | None:
        """The hyperparameters as numbers (``lcx.stopping.hyperparameters``); None if they are not known."""
        return None if self.hyperparameters is None else table_of(self.hyperparameters)

    @property
    def best(self) -> float:
        """The best value of all runs, user's unit."""
        return float(self.sign * self.peaks[:, -1].max())

    def points_at(self, step: float) -> Int[np.ndarray, "n"]:
        """Number of points of each run at steps up to and including ``step``."""
        return (self.steps <= step).sum(1)


def as_task(
    values: Any,
    steps: Any = None,
    *,
    mode: str,
    horizon: Any = None,
    bounds: tuple[float | None, float | None] = (None, None),
    names: Any = None,
    hyperparameters: Any = None,
) -> Task:
    """Checks finished runs and packs them into a task.

    Args:
        values: one 1-D array per run, or 2-D padded with NaN; user's unit. NaN, inf, None and values outside the bounds are missing.
        steps: step of each value, > 0, strictly increasing: one array per run, or one for all, of which each run takes as many of the
            first entries as it has values; default 1, 2, ...
        mode: "max" if larger is better, "min" if smaller is.
        horizon: planned last step, one number or one per run; default the last step of the longest run.
        bounds: hard limits (lower, upper) of the metric.
        names: of the runs; default "0", "1", ...
        hyperparameters: {name: value} for each run, for methods that choose by them which run begins; default not known.

    Raises:
        ValueError: there are no runs, lengths differ, steps do not rise or are not > 0, a run passes its horizon, or the number of names
            or of hyperparameters is wrong. TypeError: hyperparameters are no mapping.
    """
    direction(mode)
    low, high = (limit if bound is None else float(bound) for bound, limit in zip(bounds, (-np.inf, np.inf), strict=True))
    rows = [np.array([np.nan if y is None else y for y in row], dtype=np.float64) for row in values]
    if not rows or min(map(len, rows)) == 0:
        raise ValueError(
            f"expected one or more runs of one or more points, got {[len(row) for row in rows][:5]} points; leave empty runs out"
        )
    per_run = steps is not None and np.ndim(steps[0]) > 0
    packed = []
    for i, y in enumerate(rows):
        t = np.arange(1.0, len(y) + 1) if steps is None else np.asarray(steps[i] if per_run else steps[: len(y)], dtype=np.float64)
        packed.append(_readable(y, t, low, high, i))
    ends = np.array([t[-1] for _, t in packed])
    planned = np.array(np.broadcast_to(ends.max() if horizon is None else np.asarray(horizon, dtype=np.float64), ends.shape))
    if (late := ~(planned >= ends)).any():
        i = int(late.argmax())
        raise ValueError(f"expected runs that end by their horizon, got step {ends[i]:g} of horizon {planned[i]:g} in run {i}; raise it")
    named = tuple(map(str, range(len(rows)) if names is None else names))
    if len(named) != len(rows):
        raise ValueError(f"expected one name per run, got {len(named)} for {len(rows)} runs; name all of them or none")
    told = None if hyperparameters is None else tuple(hyperparameters)
    if told is not None and len(told) != len(rows):
        raise ValueError(f"expected the hyperparameters of each of {len(rows)} runs, got {len(told)}; write {{}} where they are not known")
    table_of(told or ())  # refuses what is no mapping
    longest = max(len(y) for y, _ in packed)
    table = np.full((2, len(rows), longest), np.nan)
    for i, pair in enumerate(packed):
        table[:, i, : len(pair[0])] = pair
    return Task(named, table[0], table[1], planned, mode, (bounds[0], bounds[1]), told)


def _readable(y: np.ndarray, t: np.ndarray, low: float, high: float, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and steps of run ``i`` where both are finite and inside the bounds; a NaN at the first step where there is nothing."""
    if t.shape != y.shape:
        raise ValueError(f"expected as many steps as values, got {t.shape} and {y.shape} in run {i}; give each value a step")
    seen = np.isfinite(y) & np.isfinite(t) & (np.nan_to_num(y) >= low) & (np.nan_to_num(y) <= high)
    y, t = (y[seen], t[seen]) if seen.any() else (np.array([np.nan]), t[:1])
    if not (np.diff(t) > 0).all() or not t[0] > 0:
        raise ValueError(f"expected steps > 0, strictly increasing, got {t[:5].tolist()}... in run {i}; sort them, and count from 1")
    return y, t


def task_from_table(
    table: "pd.DataFrame", metric: str, *, mode: str, horizon: Any = None, bounds: tuple[float | None, float | None] = (None, None)
) -> Task:
    """The task of one metric of a long table of ``lcx.readers.read``, its runs in the order in which they began.

    This is the order of their first ``time`` if all have the time of a clock, else the order of the table. (Seconds since the start of
    each run do not tell which run came first.)

    The hyperparameters are those of the log (``attrs``) that tell runs apart: not what is the same in all runs, nor texts of which each run
    has one of its own, such as a name or a path, which teach nothing about another run. A run without any has {}; if no run has any, or
    nothing tells them apart, the task has None.

    Args:
        table: columns run, metric, step, value, perhaps time.
        metric: name of the metric.
        mode: as in :func:`as_task`.
        horizon: as in :func:`as_task`; default what the log says (``attrs``), else the last step of the longest run.
        bounds: as in :func:`as_task`.

    Raises:
        ValueError: there is no such metric, or as in :func:`as_task`.
    """
    rows: Any = table[table["metric"] == metric]
    if rows.empty:
        raise ValueError(f"expected a metric out of {sorted(table['metric'].unique())}, got {metric!r}; choose one")
    rows.attrs = {}  # which pandas copies for each group
    runs = {str(run): curve for run, curve in rows.groupby("run", sort=False)}
    begun = {run: curve["time"].min() for run, curve in runs.items()} if "time" in rows else {}
    if begun and all(time >= _CLOCK for time in begun.values()):
        runs = dict(sorted(runs.items(), key=lambda pair: begun[pair[0]]))
    steps, values = ([curve[name].to_numpy(float) for curve in runs.values()] for name in ("step", "value"))
    if horizon is None and "horizon" in table.attrs:
        longest = max(t[-1] for t in steps)
        horizon = [max(float(table.attrs["horizon"].get(run, longest)), t[-1]) for run, t in zip(runs, steps, strict=True)]
    told = table.attrs.get("hyperparameters", {})
    hyperparameters = _telling([told.get(run, {}) for run in runs])
    return as_task(values, steps, mode=mode, horizon=horizon, bounds=bounds, names=runs, hyperparameters=hyperparameters)


def after_earlier(task: Task, earlier: Iterable[Task]) -> Task:
    """The task, if these were studied before it: methods that choose which run begins go by what earlier studies expect.

    Of an earlier task the hyperparameters and the best value of each run count, its metric may be another
    (:func:`lcx.stopping.with_earlier_studies`).

    Args:
        task: with hyperparameters.
        earlier: with some of the same hyperparameters.

    Raises:
        ValueError: a task has no hyperparameters, there is no earlier task, or none shares a hyperparameter with the task.
        ImportError: scikit-learn is not installed.
    """
    if task.hyperparameters is None:
        raise ValueError("expected a task with hyperparameters, got one without; earlier studies tell nothing else, so leave them out")
    studies = []
    for i, one in enumerate(earlier):
        if one.hyperparameters is None:
            raise ValueError(f"expected earlier tasks with hyperparameters, got none in number {i}; leave it out")
        studies.append(list(zip(one.hyperparameters, one.peaks[:, -1].tolist(), strict=True)))
    rows = with_earlier_studies(dict(enumerate(task.hyperparameters)), studies, "max")  # peaks: larger is better
    return replace(task, hyperparameters=tuple(rows.values()))


def _telling(rows: list[Mapping[str, Any]]) -> list[dict[str, Any]] | None:
    """The hyperparameters of each run, without those that do not tell runs apart; None if none does."""
    names = []
    for name in dict.fromkeys(name for row in rows for name in row):
        given = [row[name] for row in rows if name in row]
        different = len(set(map(str, given)))
        own = all(isinstance(value, str) for value in given) and different == len(given)
        if not own and (different > 1 or len(given) < len(rows)):
            names.append(name)
    return [{name: row[name] for name in names if name in row} for row in rows] if names else None
