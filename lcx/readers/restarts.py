"""A log into which several trainings were written, one after the other."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.table import Coded

if TYPE_CHECKING:
    import numpy as np


def split(points: Any, row: "np.ndarray", line: Callable[[int], int], path: Path) -> Any:
    """The points with a run of its own for each training: one begins where the steps go back to the first and values come again.

    Where they go back to a later step, as after a resumed checkpoint, the run goes on; the later values count.

    Args:
        points: run and metric (:class:`lcx.readers.table.Coded`), step, value; in the order of their metrics, within each of their rows.
        row: the row of the log of each point.
        line: gives the line of the file of a row.
        path: the log.
    """
    if not _goes_back(points):
        return points
    import numpy as np
    import pandas as pd

    run, called = points["run"]
    again = pd.DataFrame({"run": run, "metric": points["metric"].codes, "step": points["step"]}).duplicated().to_numpy()
    begins: dict[int, list[int]] = {}
    for code in np.unique(run[again]):
        mine = np.flatnonzero(run == code)
        rows, first = np.unique(row[mine], return_index=True)
        steps = points["step"][mine][first]
        back = np.flatnonzero(np.diff(steps) < 0) + 1
        repeated = np.isin(rows[back], row[mine][again[mine]])
        start = [int(rows[at]) for at in back[repeated] if steps[at] <= steps[0]]
        if start:
            begins[int(code)] = start
    if not begins:
        return points
    names = np.array(called, object)[run]
    for code, rows in begins.items():
        mine = np.flatnonzero(run == code)
        part = np.searchsorted(rows, row[mine], side="right")
        name = names[mine[0]]
        names[mine] = [name if k == 0 else f"{name} ({k + 1})" for k in part]
        lines = ", ".join(str(line(int(at))) for at in rows[:3]) + (", ..." if len(rows) > 3 else "")
        warnings.warn(
            f"{path}: the steps of {name} start again in line {lines}; read as further runs {name} (2)"
            + (f" to {name} ({len(rows) + 1})" if len(rows) > 1 else ""),
            stacklevel=6,
        )
    codes, called = pd.factorize(names)
    return points | {"run": Coded(codes, list(called))}


def _goes_back(points: Any) -> bool:
    """Whether the steps of some metric fall, so that values may come again."""
    import numpy as np

    falls = np.diff(points["step"]) < 0
    return bool(falls.any() and (falls & (np.diff(points["metric"].codes) == 0)).any())
