"""Fan charts, and regret against compute. matplotlib (extra ``plot``) is loaded only when a picture is drawn."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _DARK, _RED, _ORANGE = "#2a6fbb", "#1b1b1b", "#c0392b", "#f0861a"
_OWN = ("#c0392b", "#f0861a", "#8e44ad")
_OTHERS = ("#1b1b1b", "#2a6fbb", "#7fb0de", "#3a8f5c", "#8c8c8c", "#a08a3c", "#9ccb86", "#b08fc7")
_BANDS = (("95 %", 0, 6, "#dfe9f5"), ("80 %", 1, 5, "#bdd3eb"), ("50 %", 2, 4, "#93b7de"))  # label, lower and upper column, colour


def fan_chart(
    observed: tuple[np.ndarray, np.ndarray],
    ahead: np.ndarray,
    quantiles: np.ndarray,
    *,
    horizon: float,
    best: float | None = None,
    metric: str = "metric",
    label: str = "",
    falls: bool = False,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draws observed points, then the median inside bands of 50, 80 and 95 %.

    The axis of the steps is logarithmic if the observed ones are :func:`geometric`; then, if the metric ``falls``, so is the other axis,
    unless its values are not all positive or span less than a factor of 3.

    Args:
        observed: steps and values of the points seen, user's units.
        ahead: (A,) steps predicted, user's unit.
        quantiles: (A, 7) at levels 0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975, user's unit.
        horizon: last step of the run, the right end of the chart.
        best: value to beat, drawn as a dashed line if given.
        metric: label of the vertical axis.
        label: put before the entries of the legend for median and bands.
        falls: whether smaller is better.
        ax: where to draw; default new axes.

    Returns:
        The axes drawn on.

    Raises:
        ImportError: matplotlib is not installed.
    """
    ax = _axes(ax)
    steps, values = observed
    for band, low, high, colour in _BANDS:
        ax.fill_between(ahead, quantiles[:, low], quantiles[:, high], color=colour, lw=0, label=label + band)
    ax.plot(ahead, quantiles[:, 3], color=_BLUE, lw=1.8, marker="o" if len(ahead) == 1 else None, label=label + "median")
    ax.plot(steps, values, ".", color=_DARK, ms=4.5 if len(steps) < 200 else 2, label="observed")
    ax.axvline(steps[-1], color=_DARK, lw=0.7, ls=":")
    if best is not None:
        ax.axhline(best, color=_RED, lw=1.2, ls="--", label=f"to beat {best:.4g}")
    log_x = geometric(steps)
    _set_limits(ax, values, quantiles, best, log=log_x and falls)
    ax.set_xlim(steps[0] / (horizon / steps[0]) ** 0.02 if log_x else min(0.0, steps[0]), horizon)
    if log_x:
        ax.set_xscale("log")
        _number(ax.xaxis)
    ax.set_xlabel("step")
    ax.set_ylabel(metric)
    ax.grid(alpha=0.25, lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small", ncols=2)
    return ax


def geometric(steps: np.ndarray) -> bool:
    """Whether steps grow by about the same factor rather than by the same amount: sizes such as 100, 200, 500, 1000.

    They do if there are three or more over a factor of 4 or more, and the gaps between their logarithms vary less than half as much, in
    units of their mean, as the gaps between themselves.

    Args:
        steps: (n,) rising.
    """
    if len(steps) < 3 or steps[0] <= 0 or steps[-1] < 4 * steps[0]:
        return False
    even, by_factor = (np.std(gaps) / np.mean(gaps) for gaps in (np.diff(steps), np.diff(np.log(steps))))
    return bool(by_factor < even / 2)


def overlay(ax: "Axes", ahead: np.ndarray, quantiles: np.ndarray, label: str) -> None:
    """Draws another answer over a fan chart: its median and the edges of its bands as lines.

    Args:
        ax: axes with a fan chart.
        ahead: (A,) steps predicted, user's unit.
        quantiles: (A, 7) as for :func:`fan_chart`.
        label: put before the entries of the legend.
    """
    alone = len(ahead) == 1
    edges = ax.plot(ahead, np.delete(quantiles, 3, axis=1), color=_ORANGE, lw=1, ls="--", marker="_" if alone else None)
    edges[0].set_label(label + "50/80/95 %")
    ax.plot(ahead, quantiles[:, 3], color=_ORANGE, lw=1.8, marker="o" if alone else None, label=label + "median")
    low, high = ax.get_ylim()
    least = quantiles[:, 1][quantiles[:, 1] > 0] if ax.get_yscale() == "log" else quantiles[:, 1]
    ax.set_ylim(np.nanmin([low, *least]), max(high, np.nanmax(quantiles[:, 5])))
    ax.legend(frameon=False, fontsize="small", ncols=2)


def regret_chart(costs: np.ndarray, regrets: Mapping[str, np.ndarray], *, own: str = "lcx", ax: "Axes | None" = None) -> "Axes":
    """Draws regret against compute, one line per method; methods whose name starts with ``own`` are drawn over the others.

    The axis of the regret is logarithmic above 1 % of the largest value and linear below, so that it contains 0.

    Args:
        costs: (C,) steps spent.
        regrets: (C,) each, by name of the method.
        own: see above.
        ax: where to draw; default new axes.

    Returns:
        The axes drawn on.

    Raises:
        ImportError: matplotlib is not installed.
    """
    ax = _axes(ax)
    others = [name for name in regrets if not name.startswith(own)]
    for i, name in enumerate(others):
        ax.plot(costs, regrets[name], color=_OTHERS[i % len(_OTHERS)], ls=("-", (0, (5, 1.5)))[i % 2], lw=1.3, label=name)
    for i, name in enumerate(name for name in regrets if name not in others):
        ax.plot(costs, regrets[name], color=_OWN[i % len(_OWN)], lw=2.4, zorder=3, label=name)
    for line in ax.lines:
        line.set_clip_on(False)  # else half of a line at 0 is cut off
    ax.set_yscale("symlog", linthresh=0.01 * max(1e-9, *(float(np.max(regret)) for regret in regrets.values())), linscale=0.3)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_ylim(bottom=0)
    ax.set_xlim(0, costs[-1])
    ax.set_xlabel("steps trained, all runs together")
    ax.set_ylabel("regret")
    ax.grid(alpha=0.25, lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def _axes(ax: "Axes | None") -> "Axes":
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("expected matplotlib for plots, got none; install it with: pip install 'lcx[plot]'") from error
    return plt.subplots(figsize=(7.2, 4.2), layout="constrained")[1] if ax is None else ax


def _set_limits(ax: "Axes", values: np.ndarray, quantiles: np.ndarray, best: float | None, log: bool) -> None:
    """Limits of the metric's axis; logarithmic, if ``log``, where the numbers are positive and span a factor of 3 or more."""
    extent = np.concatenate([values, quantiles[:, 1], quantiles[:, 5], [] if best is None else [best]])
    if log and np.nanmin(extent) > 0 and np.nanmax(extent) >= 3 * np.nanmin(extent):
        ax.set_yscale("log")
        with np.errstate(divide="ignore"):  # an outer band may begin at 0
            low, high = _limits(np.log(extent), np.log(quantiles[:, 0].clip(min=0)), np.log(quantiles[:, 6]))
        ax.set_ylim(np.exp(low), np.exp(high))
        _number(ax.yaxis)
    else:
        ax.set_ylim(_limits(extent, quantiles[:, 0], quantiles[:, 6]))


def _limits(extent: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> tuple[float, float]:
    # The observed points and the 80 % band decide the range: outer bands of a run that has just begun may dwarf everything.
    low, high = np.nanmin(extent), np.nanmax(extent)
    margin = 0.08 * (high - low) or 0.05 * max(abs(high), 1e-6)
    room = 0.35 * (high - low)
    return max(min(low - margin, lower.min()), low - room) - margin / 4, min(max(high + margin, upper.max()), high + room) + margin / 4


def _number(axis: Any) -> None:
    """Plain numbers on a logarithmic axis: at powers of ten, and if there are few of these, at 2 and 5 times them too."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1e3 * low else (1,)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())
