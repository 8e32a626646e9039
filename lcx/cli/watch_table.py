"""The table of ``lcx watch``, as wide as it may be: a row per run, with a sketch of its curve."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lcx.cli.many_runs import as_columns, as_text

if TYPE_CHECKING:
    from lcx.report import Standing

_LEFT = {"run", "verdict", "curve", "reason"}
_FIRST_OUT = (
    ("best",),
    ("curve",),
    ("last",),
    ("5 %", "95 %"),
    ("step",),
    ("P(better)",),
)  # what a narrow terminal goes without, in this order
_BARS, _BAR_COUNT = "▁▂▃▄▅▆▇█", 8
_SHORTEST = 20  # of a reason that is shown at all, and of a run's name before columns go


def watch_table(runs: "Sequence[Standing]", curves: dict[str, Any], width: int | None = None) -> str:
    """Rows of runs as aligned text.

    Args:
        runs: in the order of the rows.
        curves: the values of each run so far.
        width: letters in a line; None for any number. If it is too small, reasons and names are cut, then columns left out.
    """
    rows = [_cells(run, curves.get(run.run, ())) for run in runs]
    names = [*rows[0]] if rows else ["run"]
    if width is not None:
        names = _fitted(rows, names, width)
    return as_columns([names, *([row[name] for name in names] for row in rows)], {i for i, name in enumerate(names) if name in _LEFT})


def sketch(values: Any, bars: int = _BAR_COUNT) -> str:
    """A curve as bars of eight heights from its lowest to its highest value; each bar is the mean of its part of the curve."""
    import numpy as np

    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return ""
    means = np.array([part.mean() for part in np.array_split(finite, min(bars, len(finite)))])
    low, span = means.min(), np.ptp(means)
    return "".join(_BARS[round(7 * x)] for x in ((means - low) / span if span else np.full(len(means), 0.5)))


def _cells(run: "Standing", values: Any) -> dict[str, str]:
    cells: dict[str, Any] = {"run": run.run, "verdict": run.verdict}
    cells |= {"P(better)": as_text(run.probability, 2), "step": f"{run.step:g}/{run.horizon:g}"}
    cells |= {name: as_text(x) for name, x in (("last", run.last), ("best", run.best), ("final", run.final))}
    return cells | {"5 %": as_text(run.low), "95 %": as_text(run.high), "curve": sketch(values), "reason": run.reason}


def _fitted(rows: list[dict[str, str]], names: list[str], width: int) -> list[str]:
    """The columns that fit; names of runs and reasons are cut in ``rows``."""

    def wide(columns: list[str]) -> int:
        return sum(max(len(name), *(len(row[name]) for row in rows)) + 2 for name in columns) - 2

    plain = [name for name in names if name != "reason"]
    left = width - wide(plain) - 2
    if left >= _SHORTEST:
        _cut(rows, "reason", left)
        return names
    for out in ((), *_FIRST_OUT):
        plain = [name for name in plain if name not in out]
        room = width - wide(plain[1:]) - 2
        if room >= min(_SHORTEST, wide(["run"])):
            break
    _cut(rows, "run", max(room, 3))
    return plain


def _cut(rows: list[dict[str, str]], name: str, width: int) -> None:
    """Cuts cells: names, whose ends tell runs apart, in their middle; sentences at their end."""
    for row in rows:
        if len(row[name]) > width:
            tail = (width - 1) // 2 if name == "run" else 0
            row[name] = row[name][: width - 1 - tail] + "…" + row[name][len(row[name]) - tail :]
