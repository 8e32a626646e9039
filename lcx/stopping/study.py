"""The runs that the forecasts of a stopper read: the others of its study, and those of an earlier one."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from lcx.curves import direction
from lcx.extrapolation import Extrapolation
from lcx.extrapolator import Extrapolator
from lcx.pfn.others import Study
from lcx.stopping.hyperparameters import LEVELS, quantiles_at_end
from lcx.stopping.intake import Reports, as_step, as_value
from lcx.stopping.threads import few_threads

_Bounds = tuple[float | None, float | None]
MOST = 100  # runs read at once: of more, those begun last


def study_of(asked: list[Reports], known: Iterable[Reports]) -> Study | None:
    """What the forecasts of some runs read of all runs known, which are in the order in which they began.

    A run tells something only if it has gone further than the one that is forecast. Ignored runs are not read. Of more than ``MOST`` runs
    the last are, since a search tends towards runs like those to come.
    """
    earliest = min(run.read[-1][0] for run in asked)
    further = [run for run in known if run.read and not run.ignored and run.read[-1][0] > earliest][-MOST:]
    place = {id(run): i for i, run in enumerate(further)}
    curves = [np.array(run.read) for run in further]
    return Study([(curve[:, 0], curve[:, 1]) for curve in curves], [place.get(id(run), -1) for run in asked]) if curves else None


def best_of_others(runs: Iterable[Reports | None], known: Iterable[Reports], mode: str) -> list[float]:
    """The best value of the other runs, for each run, also of a run not begun; if they have none, the value that every value beats."""
    sign = -1 if mode == "max" else 1
    first, second, *_ = sorted(sign * run.best(mode) for run in (*known, Reports(), Reports()))
    own = [sign * (run or Reports()).best(mode) for run in runs]
    return [sign * (second if best == first else first) for best in own]


def ends_of(
    known: Mapping[Any, Reports], forecast: Callable[[list[Reports]], Extrapolation], *, horizon: float, mode: str
) -> dict[Any, Float[np.ndarray, "K"]]:
    """What each run will have reached at its horizon, larger being better: quantiles, or its best value if it goes no further.

    Ignored runs are left out. Runs without a value that could be read are the worst.

    Args:
        known: the runs by name.
        forecast: one extrapolation of some runs up to their horizons.
        horizon: of runs without one of their own.
        mode: "max" or "min".
    """
    runs = {name: run for name, run in known.items() if run.steps and not run.ignored}
    ends = {name: np.full(len(LEVELS), direction(mode) * run.best(mode)) for name, run in runs.items()}
    if open_ := [name for name, run in runs.items() if run.read and run.left(horizon, None) > 0]:
        told = quantiles_at_end(forecast([runs[name] for name in open_]))
        ends |= {name: np.maximum(ends[name], row) for name, row in zip(open_, told, strict=True)}
    return ends


def predict(
    model: Extrapolator,
    asked: list[Reports],
    known: Iterable[Reports],
    *,
    horizon: float,
    mode: str,
    bounds: tuple[float | None, float | None],
) -> Extrapolation:
    """One extrapolation of some runs, at a few steps up to the horizon.

    Args:
        model: the model.
        asked: runs with a value.
        known: all runs that forecasts read, those asked about among them.
        horizon: of runs without one of their own.
        mode: "max" or "min".
        bounds: of the metric.
    """
    ends, curves = [run.horizon or horizon for run in asked], [np.array(run.read) for run in asked]
    steps, values = ([curve[:, i] for curve in curves] for i in (0, 1))
    at = [run.ahead(end) for run, end in zip(asked, ends, strict=True)]
    others = study_of(asked, known) if model.reads_others else None
    with few_threads(sum(map(len, (*steps, *at)))):
        return model(values, steps, horizon=ends, mode=mode, at=at, bounds=bounds, others=others)


def as_history(given: Any, bounds: _Bounds) -> list[Reports]:
    """The runs of an earlier study.

    Args:
        given: pairs (steps, values), perhaps by name; or a table of ``lcx.readers.read`` with one metric; or what ``EarlyStopper.state``
            gave. None: none.
        bounds: of the metric; values outside are not read.

    Raises:
        ValueError: it is none of these, or a table of several metrics. TypeError: steps or values are not numbers.
    """
    if given is None:
        return []
    if hasattr(given, "groupby"):
        metrics = sorted(set(given["metric"])) if "metric" in given else [""]
        if len(metrics) != 1:
            raise ValueError(f"expected the table of one metric as history, got {metrics}; keep the rows of one")
        pairs = [(run["step"], run["value"]) for _, run in given.groupby("run", sort=False)]
    elif isinstance(given, Mapping):
        state = "settings" in given and "runs" in given
        if state:
            return [Reports.from_state(run, bounds) for run in given["runs"] if not run.get("ignored")]
        pairs = list(given.values())
    else:
        pairs = list(given)
    return [_reports(pair, i, bounds) for i, pair in enumerate(pairs)]


def _reports(pair: Any, i: int, bounds: _Bounds) -> Reports:
    if isinstance(pair, str) or not hasattr(pair, "__len__") or len(pair) != 2 or len(pair[0]) != len(pair[1]):
        raise ValueError(f"expected runs of history as pairs (steps, values) of one length, got {pair!r:.80} as number {i}; pair them")
    reports = Reports()
    for step, value in zip(*pair, strict=True):
        reports.add(as_step(step), as_value(value), bounds)
    return reports
