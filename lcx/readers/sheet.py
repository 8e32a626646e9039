"""From a sheet, with a row per record and a column per name, to the long table: which column counts the steps, which are metrics."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from lcx.readers.cells import Column
from lcx.readers.hyperparameters import of_rows
from lcx.readers.restarts import split
from lcx.readers.table import COUNTERS, RUNS, TIMES, Coded, long_table, run_name, steady

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_RISING = ("tokens", "samples", "size", "index", "unnamed: 0", "")  # counters only if they rise: data tables have such columns too
_SETTINGS = ("steps", "epochs", "iterations", "episodes")  # counters before others only if they rise
_INDEX = _RISING[-3:]  # of a pandas table, written without a name
_HORIZONS = {"epoch": ("total_epochs", "num_epochs", "max_epochs"), "step": ("total_steps", "max_steps", "total_timesteps_planned")}


class Sheet(NamedTuple):
    """The rows of a log.

    Attributes:
        numbers: the columns of numbers.
        words: the columns that name the run and the metric of each row, by their lower-case names.
        rows: number of rows.
        line: the line of the file in which a row (0, 1, ...) stands, for messages.
        config: the cells of the columns that hold the configuration of the run, "config/...".
    """

    numbers: dict[str, Column]
    words: dict[str, Any]
    rows: int
    line: Callable[[int], int] = lambda row: row + 1
    config: Mapping[str, list[Any]] = MappingProxyType({})


def to_table(sheet: Sheet, path: Path, step_name: str | None = None) -> "pd.DataFrame":
    """The long table of a sheet.

    The step is the counter (step, epoch, ...) that most rows have, unless it starts again in every epoch; without any, the rows of each
    run are steps 1, 2, .... All other columns of numbers are metrics, unless there are columns "metric" and "value"; RLlib's "config/..."
    are the hyperparameters of the run. Where the steps start again from the first, a second run begins. In a metrics.csv with epoch and
    step, as Lightning writes it, both count from zero if the epoch does.

    Args:
        sheet: the rows.
        path: the log.
        step_name: the column of the steps; default: as above.

    Raises:
        ValueError: no number is left, or there is no such column.
    """
    import numpy as np
    import pandas as pd

    _say_bad(sheet, path)
    names = {name.lower(): name for name in reversed(list(sheet.numbers))}
    key = next((name for name in RUNS if name in sheet.words), None)
    codes, named = pd.factorize(sheet.words[key]) if key else (np.zeros(sheet.rows, int), [run_name(path)])
    run = Coded(codes, [str(name) for name in named])
    counter = step_column(sheet, run.codes) if step_name is None else _named(step_name, sheet, path)
    clock = next((names[name] for name in TIMES if name in names), None)
    step = _steps(sheet, counter, run.codes)
    epoch = names.get("epoch")
    if path.name == "metrics.csv" and epoch and counter == "step" and np.nanmin(sheet.numbers[epoch].values) == 0:
        step = step + (np.nanmin(step) > 0)
    points = _points(sheet, run, step, {counter, clock, *(names.get(name) for name in _INDEX)}, path)
    row = points.pop("row")
    points["step"] = step[row]
    if clock is not None:
        points["time"] = sheet.numbers[clock].values[row]
    points = split(points, row, sheet.line, path)
    codes, first = np.unique(points["run"].codes, return_index=True)
    runs = [points["run"].names[code] for code in codes]
    attrs: dict[str, Any] = {"horizon": _horizons(sheet, counter, points["step"], runs)}
    attrs["counter"] = dict.fromkeys(runs, counter or "row")
    if epoch not in (None, counter) and (length := _steps_per_epoch(step, sheet.numbers[epoch].values)):
        attrs["steps_per_epoch"] = dict.fromkeys(runs, length)
    if sheet.config:
        told = of_rows(sheet.config, run.codes, len(run.names))
        attrs["hyperparameters"] = {name: told[run.codes[row[at]]] for name, at in zip(runs, first, strict=True)}
    return long_table(points, path, zero_based="log", attrs=attrs, line=lambda at: sheet.line(int(row[at])))


def _named(name: str, sheet: Sheet, path: Path) -> str:
    found = [column for column in sheet.numbers if column.lower() == name.lower()]
    if not found:
        raise ValueError(f"expected a column of numbers out of {', '.join(sheet.numbers)} in {path}, got {name!r} for the steps; name one")
    return name if name in found else found[0]


def _steps_per_epoch(step: "np.ndarray", epoch: "np.ndarray") -> float | None:
    """The number of steps that every finished epoch had; None if they differ, or none has finished."""
    import numpy as np
    import pandas as pd

    ends: Any = pd.Series(step).groupby(epoch - np.nanmin(epoch)).max()
    done = ends[:-1] + (np.nanmin(step) == 0)
    lengths = (done / (done.index + 1)).unique()
    return float(lengths[0]) if len(lengths) == 1 and float(lengths[0]).is_integer() else None


def step_column(sheet: Sheet, run: "np.ndarray") -> str | None:
    """The column that counts the steps; None if there is none."""
    import numpy as np
    import pandas as pd

    group = run if "metric" not in sheet.words else run.astype(np.int64) * 2**32 + pd.factorize(sheet.words["metric"])[0]
    counters = [
        name
        for name, column in sheet.numbers.items()
        if (low := name.lower()) in (*COUNTERS, *_INDEX) and (low not in _RISING or _rises(column, group))
    ]
    settings = [name for name in counters if name.lower() in _SETTINGS and not _rises(sheet.numbers[name], group)]
    counters = [name for name in counters if name not in settings] or counters  # such as the length of each episode
    order = [*COUNTERS, *_INDEX]
    counters.sort(key=lambda name: (name.lower() in _INDEX, -int(sheet.numbers[name].logged.sum()), order.index(name.lower())))
    if not counters:
        return None
    named = [name for name in counters if name.lower() not in _INDEX] or counters[:1]
    return named[0] if len(named) == 1 else steady(pd.DataFrame({name: sheet.numbers[name].values for name in named}), run)


def _rises(column: Column, group: "np.ndarray") -> bool:
    import numpy as np

    order = np.argsort(group[column.logged], kind="stable")
    values, group = column.values[column.logged][order], group[column.logged][order]
    same = group[1:] == group[:-1]
    return bool((np.diff(values) >= 0)[same].all() and (len(values) < 2 or values[0] != values[-1] or not same.any()))


def _steps(sheet: Sheet, counter: str | None, run: "np.ndarray") -> "np.ndarray":
    if counter is not None:
        return sheet.numbers[counter].values
    import pandas as pd

    group = [run, sheet.words["metric"]] if "metric" in sheet.words else run
    return 1.0 + pd.Series(0, range(sheet.rows)).groupby(group).cumcount().to_numpy(float)


def _points(sheet: Sheet, run: Coded, step: "np.ndarray", used: set[str | None], path: Path) -> dict[str, Any]:
    """Run, metric, value and row of each point. The values of rows without a step are left out, and it is said."""
    import numpy as np

    told = np.isfinite(step)
    word = sheet.words.get("metric", np.full(sheet.rows, "", object))
    wide, long = told & (word == ""), told & (word != "")
    metrics = {name: column for name, column in sheet.numbers.items() if name not in used}
    columns = list(metrics.values())
    rows = [np.flatnonzero(column.logged & wide) for column in columns]
    code, names = np.repeat(np.arange(len(rows)), [len(row) for row in rows]), list(metrics)
    if long.any():  # of these rows each is a point
        value = next(name for name in metrics if name.lower() == "value")
        rows.append(np.flatnonzero(sheet.numbers[value].logged & long))
        columns.append(sheet.numbers[value])
        found, inner = np.unique(word[rows[-1]].astype(str), return_inverse=True)
        names += [name for name in found if name not in names]
        code = np.concatenate([code, np.array([names.index(name) for name in found], int)[inner]])
    if not told.all():
        _say_unplaced(metrics, told, sheet, path)
    values = [column.values[row] for column, row in zip(columns, rows, strict=True)]
    row = np.concatenate([np.zeros(0, int), *rows])
    return {
        "run": Coded(run.codes[row], run.names),
        "metric": Coded(code, names),
        "value": np.concatenate([np.zeros(0), *values]),
        "row": row,
    }


def _say_unplaced(metrics: dict[str, Column], told: "np.ndarray", sheet: Sheet, path: Path) -> None:
    """Names the values in rows without a step, of metrics that have values in rows with one."""
    lost = {}
    for name, column in metrics.items():
        rows = (column.logged & ~told).nonzero()[0]
        if len(rows) and (column.logged & told).any():
            lost[name] = rows
    if lost:
        shown = ", ".join(f"{name} in line {sheet.line(int(rows[0]))}" for name, rows in list(lost.items())[:3])
        count = sum(map(len, lost.values()))
        first = ", ..." if count > len(lost) or len(lost) > 3 else ""
        warnings.warn(f"{path}: values in rows without a step are left out: {shown}{first} ({count} in all)", stacklevel=6)


def _say_bad(sheet: Sheet, path: Path) -> None:
    """Names the cells that are no numbers, in columns that have numbers otherwise."""
    for name, column in sheet.numbers.items():
        if column.bad:
            cells = ", ".join(f"{cell!r} in line {sheet.line(row)}" for row, cell in column.bad[:3])
            more = f" and {len(column.bad) - 3} more" if len(column.bad) > 3 else ""
            warnings.warn(f"{path}: column {name!r} holds numbers, but {cells}{more}; these cells are left out", stacklevel=5)


def _horizons(sheet: Sheet, counter: str | None, steps: "np.ndarray", runs: list[str]) -> dict[str, float]:
    """The last step of every run, where cells such as "3/40" or a column such as total_steps tell it."""
    if counter is None:
        return {}
    total = sheet.numbers[counter].total
    kind = "epoch" if "epoch" in counter.lower() else "step"
    for name, column in sheet.numbers.items():
        if name.lower() in _HORIZONS[kind] and total is None and column.logged.any():
            total = float(max(column.values[column.logged]))
    if total is not None and len(steps) and steps.min() == 0 and steps.max() == total:  # from 0 up to the total: one more
        total += 1
    return {} if total is None else dict.fromkeys(runs, total)
